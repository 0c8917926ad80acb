// A real control plane, a real agent and real namespaces; the daemon only acknowledges. The life of workloads from the label to
// the last trace, with every part restarted in between.
import { readdirSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { NetworkNamespace, tcpListener } from '../../core/net/sys.ts'
import { createNamespaces, run, type TestNamespaces, trace } from '../helpers/agent-namespace.ts'
import { AgentWorld, FakeDaemon, until } from '../helpers/agent-world.ts'

const identities = ['shop/orders', 'shop/client']

async function start(test: Test) {
  const namespaces = createNamespaces()
  test.teardown(() => namespaces.remove())
  const world = new AgentWorld(test)
  world.namespace('shop', false)
  await world.startControl()
  const before = trace(namespaces.workload)
  world.define('h1', 'orders', namespaces.workload, 'ports: {http: 8080}\n')
  const agent = await world.startAgent('h1', await world.token('h1', identities))
  const daemon = await FakeDaemon.connect(world.paths('h1').socket, test)
  return { namespaces, world, before, agent, daemon }
}

function pins(world: AgentWorld): readonly string[] {
  try {
    return readdirSync(`${world.paths('h1').run}/netns`)
  } catch {
    return []
  }
}

const isCaptured = (namespaces: TestNamespaces): boolean => trace(namespaces.workload).includes('CULVERT_OUTPUT')

/** What the control plane believes of the workload. */
async function entry(world: AgentWorld) {
  const path = '/apis/networking.istio.io/v1/namespaces/shop/workloadentries/orders'
  const { status, body } = await world.api('GET', path)
  const metadata = body['metadata'] as { annotations?: Record<string, string> } | undefined
  return { status, redirection: metadata?.annotations?.['culvert.dev/redirection'] }
}

t.test('the label captures a running workload and its loss lets it go without a trace', async (t) => {
  const { namespaces, world, before, daemon } = await start(t)
  await until('the report', async () => (await entry(world)).status === 200)
  t.equal(trace(namespaces.workload), before, 'not enrolled: not touched')
  world.namespace('shop', true)
  await until('captured', async () => (await entry(world)).redirection === 'enabled')
  t.ok(isCaptured(namespaces))
  const added = daemon.of('workload-add')[0]?.workload
  t.match(added, { namespace: 'shop', name: 'orders', identity: 'spiffe://cluster.local/ns/shop/sa/orders' })
  t.same([...(added?.addresses ?? [])].sort(), ['10.77.0.2', 'fd77::2'])
  t.equal(statSync(added?.netns.path ?? '').ino, statSync(namespaces.workload).ino, 'the pin is the namespace')
  world.namespace('shop', false)
  await until('let go', () => trace(namespaces.workload) === before)
  await until('drained', () => daemon.of('workload-remove').length === 1)
  await until('reported', async () => (await entry(world)).redirection !== 'enabled')
})

t.test('drift is repaired while captured, and connections from before are counted', async (t) => {
  const { namespaces, world } = await start(t)
  const namespace = NetworkNamespace.open(namespaces.peer)
  const fd = namespace.run(() => tcpListener({ address: '0.0.0.0', port: 9090 }))
  namespace.close()
  const server = createServer((socket) => socket.on('error', () => {}))
  await new Promise<void>((resolve) => server.listen({ fd }, resolve))
  t.teardown(() => server.close())
  const { spawn } = await import('node:child_process')
  const script =
    "require('net').connect(9090, '10.77.0.1').on('connect', () => console.log('up')).on('error', () => {})"
  const early = spawn('nsenter', [`--net=${namespaces.workload}`, process.execPath, '-e', script])
  t.teardown(() => early.kill())
  await new Promise((resolve) => early.stdout.once('data', resolve))
  world.namespace('shop', true)
  await until('captured', async () => (await entry(world)).redirection === 'enabled')
  const good = trace(namespaces.workload)
  run('nsenter', `--net=${namespaces.workload}`, 'iptables', '-t', 'nat', '-F')
  await until('repaired', () => trace(namespaces.workload) === good)
  world.resources(
    'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels: {culvert.dev/dataplane-mode: ambient}\n---\n' +
      'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: shop}\n' +
      'spec: {mtls: {mode: STRICT}}\n',
  )
  const ended = new Promise((resolve) => early.once('exit', resolve))
  await ended
  t.pass('STRICT has reset the connection from before the capture')
})

t.test('agent and control plane come and go: redirection stays, the daemon is served from disk', async (t) => {
  const { namespaces, world, agent, daemon } = await start(t)
  world.namespace('shop', true)
  await until('captured', async () => (await entry(world)).redirection === 'enabled')
  const captured = trace(namespaces.workload)
  const [pin] = pins(world)
  const uid = daemon.of('workload-add')[0]?.workload.uid
  await world.stopControl()
  await world.stopAgent(agent)
  t.equal(trace(namespaces.workload), captured, 'a stopped agent leaves everything in place')
  const again = await world.startAgent('h1')
  await again.ready
  const returned = await FakeDaemon.connect(world.paths('h1').socket, t)
  await until('the state', () => returned.of('state').length === 1)
  const state = returned.of('state')[0]
  t.equal(state?.workloads[0]?.uid, uid)
  t.ok(state?.delta.upserts.some((resource) => resource.kind === 'Workload' && resource.key === uid))
  t.match(state?.bundle, 'BEGIN CERTIFICATE')
  t.same(pins(world), [pin])
  run('nsenter', `--net=${namespaces.workload}`, 'iptables', '-t', 'nat', '-F', 'CULVERT_OUTPUT')
  await until('repaired without a control plane', () => trace(namespaces.workload) === captured)
  await world.startControl()
  world.namespace('shop', false)
  await until('let go by the control plane that came back', () => !isCaptured(namespaces), 20_000)
})

t.test('a workload that ends leaves no pin; its successor of the same name is another instance', async (t) => {
  const { namespaces, world, daemon } = await start(t)
  world.namespace('shop', true)
  await until('captured', () => isCaptured(namespaces))
  const uid = daemon.of('workload-add')[0]?.workload.uid
  run('ip', 'netns', 'del', namespaces.names.workload)
  await until('gone', () => daemon.of('workload-remove').some((message) => message.uid === uid))
  await until('unpinned', () => pins(world).length === 0)
  await until('unreported', async () => (await entry(world)).status === 404)
  run('ip', 'netns', 'add', namespaces.names.workload)
  run('ip', '-n', namespaces.names.workload, 'link', 'set', 'lo', 'up')
  run('ip', '-n', namespaces.names.workload, 'link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'd1')
  run('ip', '-n', namespaces.names.workload, 'address', 'add', '10.77.9.2/24', 'dev', 'd0')
  for (const link of ['d0', 'd1']) run('ip', '-n', namespaces.names.workload, 'link', 'set', link, 'up')
  await until('captured again', () => isCaptured(namespaces))
  t.not(daemon.of('workload-add').at(-1)?.workload.uid, uid)
})

t.test('a workload whose definition is taken away while it runs is let go without a trace', async (t) => {
  const { namespaces, world, before } = await start(t)
  world.namespace('shop', true)
  await until('captured', async () => (await entry(world)).redirection === 'enabled')
  world.undefine('h1', 'orders')
  await until('let go', () => trace(namespaces.workload) === before)
  await until('unpinned', () => pins(world).length === 0)
})

t.test('a workload that the token does not allow is not captured', async (t) => {
  const { namespaces, world } = await start(t)
  world.namespace('shop', true)
  await until('the allowed one', () => isCaptured(namespaces))
  const second = createNamespaces()
  t.teardown(() => second.remove())
  const untouched = trace(second.workload)
  world.define('h1', 'stranger', second.workload, 'addresses: [10.99.0.1]\n')
  await until('pinned', () => pins(world).length === 2)
  await new Promise((resolve) => setTimeout(resolve, 500))
  t.equal(trace(second.workload), untouched)
})
