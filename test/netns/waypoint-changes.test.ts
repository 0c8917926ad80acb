// The short form of `npm run soak -- waypoint`: rules change every second, endpoints come and go, processes are killed, replicas of the
// waypoint are restarted, and no request is lost.
import t from 'tap'
import { WaypointLab } from '../helpers/waypoint-lab.ts'
import { changeProblems, underChange } from '../helpers/waypoint-runs.ts'

t.setTimeout(240_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

t.test('under load', async (t) => {
  const lab = await WaypointLab.up('wpchanges', stateDir, 2)
  t.teardown(() => lab.close())
  const quiet = { seconds: 12, restartEvery: 0, killEvery: 0, endpointEvery: 3, concurrency: 8 }

  await t.test('rules that change and endpoints that come and go lose no request', async (t) => {
    const figures = await underChange(lab, quiet)
    t.same(changeProblems(figures, quiet), [])
    t.ok(figures.moves >= 2, `${figures.moves} endpoints left or came`)
  })

  await t.test('nor do replicas of the waypoint that are restarted, and instances that die', async (t) => {
    const plan = { ...quiet, seconds: 30, restartEvery: 10, killEvery: 7 }
    const figures = await underChange(lab, plan)
    t.same(changeProblems(figures, plan), [])
    t.ok(figures.restarts >= 1 && figures.kills >= 1, `${figures.restarts} restarts, ${figures.kills} kills`)
  })
})
