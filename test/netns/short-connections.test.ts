// Short connections, as fast as they go, all from one client to one port: none fails, none leaves anything behind. The client
// closes first, so that each leaves a port in TIME_WAIT on both sides of the mesh: without reuse the ports would run out.
// test/soak/short-connections.ts does the same for a minute and tells the rates.
import t from 'tap'
import { shortConnections } from '../helpers/short-runs.ts'
import { daemons, TrafficLab } from '../helpers/traffic-lab.ts'

/** A listener's spare descriptor, a metrics scrape: not one per connection. */
const few = 8
/** The heap still finds its size in the first minute (the soak waits for that); more would be kept of connections. */
const mostGrowthKib = 64 * 1024

t.setTimeout(180_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

t.test('short connections that the client closes first all succeed and leave nothing behind', async (t) => {
  const lab = await TrafficLab.up('short', stateDir)
  t.teardown(() => lab.close())
  // The first round brings code and heap to working temperature.
  const warm = await shortConnections(lab, { durationMs: 5_000, concurrency: 32 })
  const { report, before, after, left } = await shortConnections(lab, { durationMs: 10_000, concurrency: 32 })
  t.same(warm.report.failures, {}, 'no failure')
  t.same(report.failures, {}, 'no failure')
  t.ok(report.connections > 1_000, `${report.connections} connections, ${report.perSecond} per second`)
  t.same(left, { h1: 0, h2: 0 }, 'no connection is left in the daemons')
  for (const unit of daemons) {
    const grown = after[unit].rssKib - before[unit].rssKib
    t.ok(after[unit].descriptors - before[unit].descriptors < few, `${unit} has no more descriptors than before`)
    t.ok(grown < mostGrowthKib, `${unit} grew by ${grown} KiB over ${report.connections} connections`)
  }
})
