// Connections that talk, come and go and carry bulk at the same time, with short-lived certificates: nothing fails, and both
// daemons count exactly the bytes that the application wrote and read. test/soak/mixed.ts does the same for half an hour.
import t from 'tap'
import { mixedLoad, mixedProblems } from '../helpers/mixed-runs.ts'
import { TrafficLab } from '../helpers/traffic-lab.ts'

t.setTimeout(180_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

t.test('mixed load loses nothing, and every byte is accounted for on both sides', async (t) => {
  const lab = await TrafficLab.up('mixed', stateDir, { leafLifetime: '20s' })
  t.teardown(() => lab.close())
  const plan = { durationMs: 15_000, talkers: 16, perSecond: 50, bulkBytes: 8 * 1024 * 1024 }
  const figures = await mixedLoad(lab, plan, 1_000)
  t.same(mixedProblems(figures), [], JSON.stringify(figures.report))
  t.ok(figures.certificates > 1, `${figures.certificates} certificates`)
})
