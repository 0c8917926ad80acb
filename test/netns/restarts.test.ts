// A daemon takes over from another one of its host under new connections and name look-ups, whatever else is away or dies meanwhile.
// test/soak/restarts.ts does it more often and faster.
import t, { type Test } from 'tap'
import { killUnit, leavingProcesses, succeedUnit, waitRestarted } from '../../lab/faults.ts'
import { waitUntil } from '../../lab/lab.ts'
import { isRunning } from '../../lab/processes.ts'
import { drained, drains, handOver, isReady, rollingRestarts, steadyLoad, stopLoad } from '../helpers/restart-runs.ts'
import { trafficPorts } from '../helpers/traffic/ports.ts'
import { type DaemonUnit, daemons, TrafficLab } from '../helpers/traffic-lab.ts'

const perSecond = 100

t.setTimeout(240_000)

// Of the file, not of a test: it must outlive the labs.
const stateDir = t.testdir({})

t.test('a daemon hands over', async (t) => {
  const lab = await TrafficLab.up('restarts', stateDir, { drainTimeout: 'unlimited' })
  t.teardown(() => lab.close())
  const { selector } = lab.mesh.lab

  /** No connection and no look-up fails while `work` goes on. */
  const lossless = async (t: Test, work: () => Promise<void>): Promise<void> => {
    const load = await steadyLoad(lab, perSecond)
    await work()
    const report = await stopLoad(load)
    t.ok(report.connections > 0 && report.names > 0, `${report.connections} connections`)
    t.same(report.failures, {}, 'no connection failed')
    t.same(report.nameFailures, {}, 'no look-up failed')
  }

  await t.test('again and again on both ends without a loss, and connections from before go on', async (t) => {
    const units: readonly DaemonUnit[] = ['daemon@h2', 'daemon@h1', 'daemon@h1', 'daemon@h2']
    const { report, kept, restarts } = await rollingRestarts(lab, units, perSecond)
    t.ok(report.connections > 100, `${report.connections} connections, ${JSON.stringify(restarts)}`)
    t.same(report.failures, {}, 'no connection failed')
    t.same(report.nameFailures, {}, 'no look-up failed')
    t.equal(kept.answering, kept.opened, 'all connections from before the first restart still answer')
  })

  await t.test('not to a successor that dies before it serves, but to the one after it', async (t) => {
    await lossless(t, async () => {
      const { before, after } = await succeedUnit(selector, 'daemon@h2')
      killUnit(selector, 'daemon@h2')
      await waitRestarted(selector, 'daemon@h2', after)
      t.ok(isRunning(before), 'the old one lives')
      await waitUntil('it hands over', () => drains(lab, 'daemon@h2', before), 30_000)
      await drained(lab, 'daemon@h2')
    })
  })

  await t.test('not to a successor that dies right after it has begun to serve', async (t) => {
    const { before, after } = await succeedUnit(selector, 'daemon@h2')
    await waitUntil('the new one serves', () => isReady(lab, 'daemon@h2', after), 30_000)
    killUnit(selector, 'daemon@h2')
    t.notOk(drains(lab, 'daemon@h2', before), 'the old one is not told to drain yet')
    await lossless(t, async () => {
      await waitRestarted(selector, 'daemon@h2', after)
      await waitUntil('it hands over', () => drains(lab, 'daemon@h2', before), 30_000)
      await drained(lab, 'daemon@h2')
    })
  })

  await t.test('without its agent: both serve until the agent is back', async (t) => {
    await lossless(t, async () => {
      await lab.mesh.hold('agent@h1')
      const { before, after } = await succeedUnit(selector, 'daemon@h1')
      await waitUntil('the new one serves', () => isReady(lab, 'daemon@h1', after), 30_000)
      t.notOk(drains(lab, 'daemon@h1', before), 'nobody tells the old one to drain')
      lab.mesh.release('agent@h1')
      await waitUntil('it hands over', () => drains(lab, 'daemon@h1', before), 30_000)
      t.ok(isRunning(after))
      await drained(lab, 'daemon@h1')
    })
  })

  await t.test('without its agent on SIGTERM as well', async (t) => {
    await lossless(t, async () => {
      await lab.mesh.hold('agent@h2')
      const { before, after } = await succeedUnit(selector, 'daemon@h2')
      await waitUntil('the new one serves', () => isReady(lab, 'daemon@h2', after), 30_000)
      process.kill(before.pid, 'SIGTERM')
      await drained(lab, 'daemon@h2')
      lab.mesh.release('agent@h2')
    })
  })

  await t.test('without the control plane', async (t) => {
    await lossless(t, async () => {
      await lab.mesh.hold('control')
      for (const unit of daemons) {
        await handOver(lab, unit)
        await drained(lab, unit)
      }
      lab.mesh.release('control')
    })
  })
})

t.test('what is left at the drain deadline is reset, and the log says so', async (t) => {
  const lab = await TrafficLab.up('deadline', stateDir, { drainTimeout: '500ms' })
  t.teardown(() => lab.close())
  const idle = lab.start('client', 'idle', { host: lab.host, port: trafficPorts.echo, connections: 3 })
  await idle.line(20_000)
  const load = await steadyLoad(lab, perSecond)
  const { before } = await handOver(lab, 'daemon@h1')
  await waitUntil('the old one ends', () => !isRunning(before), 10_000)
  const report = await stopLoad(load)
  t.same(report.failures, {}, 'new connections do not notice')
  t.match(await idle.order('ask', 40_000), { answering: 0, closed: 3 })
  const log = lab.mesh.logSince('daemon@h1', 0)
  t.match(log, /"live":3,"msg":"the drain deadline passed/)
  t.equal(log.split('\n').filter((line) => line.includes('"code":"DRAINING"')).length, 3, 'each is in the access log')
  t.same(leavingProcesses(lab.mesh.lab.selector, 'daemon@h1'), [])
})
