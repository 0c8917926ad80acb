// The whole daemon without local workloads: what needs no namespace of its own. The netns ring has the rest.
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseConfig } from '../../core/base/config.ts'
import { nullLogger } from '../../core/base/log.ts'
import { build, type Daemon } from '../../daemon/app.ts'
import { daemonRows } from '../../daemon/config.ts'
import { FakeAgent } from '../helpers/fake-agent.ts'
import { FakeCa } from '../helpers/fake-ca.ts'

function configIn(t: Test, flags: Record<string, unknown> = {}) {
  const runDir = mkdtempSync(join(tmpdir(), 'culvert-'))
  t.teardown(() => rmSync(runDir, { recursive: true, force: true }))
  const any = '127.0.0.1:0'
  const addresses = { adminAddress: any, metricsAddress: any, healthAddress: any }
  const paths = { stateDir: join(runDir, 'state'), runDir }
  return parseConfig(daemonRows, {
    flags: { ...addresses, ...paths, drainTimeout: '1s', logLevel: 'silent', ...flags },
  })
}

async function get(port: number, path: string, method = 'GET'): Promise<readonly [number, string]> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
  return [response.status, await response.text()]
}

t.test('a daemon is ready once its agent has spoken, and not before', async (t) => {
  const config = configIn(t)
  const daemon: Daemon = await build(config, { log: nullLogger() })
  t.teardown(() => daemon.close())
  const { health, admin, metrics } = daemon.addresses
  t.same(await get(health.port, '/healthz/ready'), [503, 'pending: state\n'])
  const ca = await FakeCa.create()
  const agent = await FakeAgent.listen(config.runDir, ca)
  t.teardown(() => agent.close())
  const delta = { epoch: 'e', version: 1, full: true, upserts: [], removes: [] }
  await agent.send({ type: 'state', delta, bundle: ca.bundlePem, workloads: [] })
  await daemon.ready
  t.same(await get(health.port, '/healthz/ready'), [200, 'ready\n'])
  t.match(await get(metrics.port, '/metrics'), [200, /culvert_agent_connected 1\n/])
  t.same(await get(admin.port, '/logging?level=debug', 'POST'), [200, 'debug\n'])
  t.same(await get(admin.port, '/connections'), [200, '[]\n'])
})

t.test('a damaged state file does not keep the daemon from starting', async (t) => {
  const config = configIn(t)
  const first = await build(config, { log: nullLogger() })
  await first.close()
  await t.rejects(first.ready, { code: 'ABORTED' })
  await writeFile(join(config.stateDir, 'state.json'), '{"format":1,')
  const daemon = await build(config, { log: nullLogger() })
  t.same((await get(daemon.addresses.health.port, '/healthz/live'))[0], 200)
  await daemon.close()
})

t.test('a port that is taken ends the start, before the agent hears of it, and leaves nothing running', async (t) => {
  const stranger = createServer().listen(0, '127.0.0.1')
  t.teardown(() => stranger.close())
  await once(stranger, 'listening')
  const healthAddress = `127.0.0.1:${(stranger.address() as AddressInfo).port}`
  const config = configIn(t, { healthAddress })
  const agent = await FakeAgent.listen(config.runDir, await FakeCa.create())
  t.teardown(() => agent.close())
  await t.rejects(build(config, { log: nullLogger() }), { code: 'SYSTEM_CALL' })
  t.same(agent.said, [], 'nobody is told to drain for it')
})

t.test(
  'beside another daemon, who asks reaches that one until the new one is ready and the old one ends',
  async (t) => {
    const ca = await FakeCa.create()
    const config = configIn(t)
    const first = await build(config, { log: nullLogger(), build: 'first' })
    t.teardown(() => first.close())
    const agent = await FakeAgent.listen(config.runDir, ca)
    t.teardown(() => agent.close())
    const delta = { epoch: 'e', version: 1, full: true, upserts: [], removes: [] }
    await agent.send({ type: 'state', delta, bundle: ca.bundlePem, workloads: [] })
    await first.ready
    const at = (name: keyof Daemon['addresses']) => `127.0.0.1:${first.addresses[name].port}`
    const same = { adminAddress: at('admin'), metricsAddress: at('metrics'), healthAddress: at('health') }
    const second = await build(configIn(t, same), { log: nullLogger(), build: 'second' })
    t.teardown(() => second.close())
    t.same(second.addresses, first.addresses)
    const health = first.addresses.health.port
    const asked = await Promise.all(Array.from({ length: 20 }, () => get(health, '/healthz/ready')))
    t.same(new Set(asked.map(([status]) => status)), new Set([200]), 'the second one has no state and does not answer')
    await first.close()
    await t.rejects(get(health, '/healthz/ready'), 'nobody is ready')
  },
)

t.test('the word of the agent retires a daemon', async (t) => {
  const ca = await FakeCa.create()
  const config = configIn(t)
  const daemon = await build(config, { log: nullLogger() })
  t.teardown(() => daemon.close())
  const agent = await FakeAgent.listen(config.runDir, ca)
  t.teardown(() => agent.close())
  const delta = { epoch: 'e', version: 1, full: true, upserts: [], removes: [] }
  await agent.send({ type: 'state', delta, bundle: ca.bundlePem, workloads: [] })
  await agent.send({ type: 'drain' })
  await daemon.retired
  await daemon.close()
  t.match(
    agent.said.map(({ type }) => type),
    ['hello', 'ack', 'ack', 'draining'],
  )
  t.notOk(existsSync(join(config.stateDir, 'state.json')), 'what was outstanding is the successor’s to write')
})
