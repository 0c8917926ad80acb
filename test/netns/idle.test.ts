// A thousand connections that say nothing: all stay open, all still work, and a daemon holds a bounded amount for each.
// test/soak/idle.ts does the same with five thousand and prints the table of docs/PERFORMANCE.md.
import t from 'tap'
import { waitUntil } from '../../lab/lab.ts'
import { idleConnections } from '../helpers/idle-runs.ts'
import { daemons, TrafficLab } from '../helpers/traffic-lab.ts'

const connections = 1_000
/** Several times what is measured: this notices a leak of buffers, not a slower day. */
const mostKib = 60
const mostIdleKib = 70 * 1024

t.setTimeout(180_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

t.test('a thousand idle connections stay open, cost little, and leave nothing behind', async (t) => {
  process.env['CULVERT_WORKERS'] = '1'
  const lab = await TrafficLab.up('idle', stateDir)
  t.teardown(() => lab.close())
  const light = () => daemons.every((unit) => lab.weight(unit).rssKib <= mostIdleKib)
  await waitUntil('each daemon weighs at most 70 MiB without connections', light, 20_000)
  const figures = await idleConnections(lab, connections, 1_000)
  t.same(figures.counted, { h1: connections, h2: connections }, 'both daemons have all of them')
  t.equal(figures.answering, connections, 'all answer')
  t.equal(figures.closed, 0, 'none was closed')
  for (const unit of daemons) {
    const each = figures.perConnectionKib[unit]
    t.ok(each < mostKib, `${unit} takes ${each} KiB for each`)
  }
  const gone = async (): Promise<boolean> => (await lab.connections('h1')) + (await lab.connections('h2')) === 0
  await waitUntil('the daemons have none left', gone, 10_000)
  t.pass('none is left in the daemons')
})
