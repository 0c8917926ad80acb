// The handoff socket with daemons that only speak the protocol: state first, order, deadlines, who may connect.
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HandoffServer } from '../../agent/handoff.ts'
import type { HandoffState } from '../../agent/handoff-connection.ts'
import { MeshError } from '../../core/base/errors.ts'
import { nullLogger } from '../../core/base/log.ts'
import type { LocalWorkload } from '../../core/feed/handoff.ts'
import type { CompiledDelta } from '../../core/model/types.ts'
import { FakeDaemon, until } from '../helpers/agent-world.ts'

const delta = (version: number): CompiledDelta => ({ epoch: 'e', version, full: false, upserts: [], removes: [] })
const workload: LocalWorkload = {
  uid: 'h1/shop/a/1',
  namespace: 'shop',
  name: 'a',
  identity: 'spiffe://cluster.local/ns/shop/sa/a',
  addresses: ['10.0.0.2'],
  netns: { path: '/p', inode: 1 },
  nameservers: [],
}

async function prepare(test: Test, limits = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'culvert-handoff-'))
  const path = join(folder, 'agent.sock')
  const state = { value: { delta: delta(1), bundle: 'PEM', workloads: [] } as HandoffState }
  const taken: string[] = []
  const server = new HandoffServer({
    path,
    state: () => state.value,
    issue: async (identity) => {
      if (identity !== workload.identity) throw new MeshError('NODE_UNAUTHORIZED', 'not here')
      return { chain: 'CHAIN', bundle: 'PEM' }
    },
    changed: () => {},
    ready: (epoch, version) => void taken.push(`${epoch}/${version}`),
    limits: { settleMs: 1, ...limits },
    log: nullLogger(),
  })
  await server.listen()
  test.teardown(async () => {
    await server.close()
    rmSync(folder, { recursive: true })
  })
  return { server, path, state, taken }
}

t.test('a daemon gets the state first, then changes in order, each numbered', async (t) => {
  const { server, path, state, taken } = await prepare(t)
  t.equal(statSync(path).mode & 0o777, 0o660)
  t.equal(await server.delta(delta(0)), undefined, 'nobody is there')
  state.value = { ...state.value, workloads: [workload] }
  const daemon = await FakeDaemon.connect(path, t)
  await until('the state', () => taken.length === 1)
  t.equal(server.serving(workload), 'served')
  t.same(await server.delta(delta(2)), [])
  await server.bundle('PEM2')
  await server.add({ ...workload, uid: 'h1/shop/b/1' })
  await server.remove(workload.uid)
  t.same(
    daemon.received.map((message) => `${message.type} ${'seq' in message ? message.seq : ''}`),
    ['state 1', 'delta 2', 'bundle 3', 'workload-add 4', 'workload-remove 5'],
  )
  t.equal(server.serving(workload), 'unserved')
  t.same(taken, ['e/1'])
})

t.test(
  'a workload whose listeners fail is not served, and one that is described anew is to be sent again',
  async (t) => {
    const { server, path } = await prepare(t)
    const daemon = await FakeDaemon.connect(path, t)
    await until('the state', () => daemon.received.length === 1)
    daemon.failed = { [workload.uid]: 'EADDRINUSE' }
    await t.rejects(server.add(workload), { code: 'CONNECT_FAILED', message: /EADDRINUSE/ })
    t.equal(server.serving(workload), 'unserved')
    daemon.failed = {}
    await server.add(workload)
    t.equal(server.serving(workload), 'served')
    t.equal(server.serving({ ...workload, addresses: ['10.0.0.3'] }), 'unserved')
  },
)

t.test('a daemon that does not acknowledge in time is cut off and gets everything when it returns', async (t) => {
  const { server, path } = await prepare(t, { ackMs: 30 })
  const daemon = await FakeDaemon.connect(path, t)
  await until('the state', () => daemon.received.length === 1)
  daemon.silent = true
  await t.rejects(server.delta(delta(2)), { code: 'FEED_CLOSED', message: /did not acknowledge delta/ })
  await until('the end', () => daemon.closed && server.connected === 0)
  t.equal(server.serving(workload), 'absent')
  const again = await FakeDaemon.connect(path, t)
  await until('the state', () => again.of('state').length === 1)
})

t.test('certificate requests are answered, or refused with the reason', async (t) => {
  const { path } = await prepare(t)
  const daemon = await FakeDaemon.connect(path, t)
  daemon.send({ type: 'csr', id: 7, identity: workload.identity, csr: 'CSR' })
  daemon.send({ type: 'csr', id: 8, identity: 'spiffe://cluster.local/ns/other/sa/x', csr: 'CSR' })
  await until('both', () => daemon.of('certificate').length + daemon.of('certificate-error').length === 2)
  t.match(daemon.of('certificate')[0], { id: 7, chain: 'CHAIN' })
  t.match(daemon.of('certificate-error')[0], { id: 8, code: 'NODE_UNAUTHORIZED', retryable: false })
})

t.test('two daemons are both told; the newer one decides what is served', async (t) => {
  const { server, path } = await prepare(t)
  const older = await FakeDaemon.connect(path, t)
  await until('the first', () => older.received.length === 1)
  const newer = await FakeDaemon.connect(path, t)
  await until('the second', () => newer.received.length === 1)
  await server.delta(delta(2))
  await until('both', () => older.of('delta').length === 1 && newer.of('delta').length === 1)
  await server.add(workload)
  t.equal(older.of('workload-add').length, 0)
  newer.close()
  await until('one left', () => server.connected === 1)
  t.equal(server.serving(workload), 'unserved')
})

t.test('an older daemon is told to drain once the newer one serves all that it serves, and only then', async (t) => {
  const { server, path, state } = await prepare(t)
  state.value = { ...state.value, workloads: [workload] }
  const older = await FakeDaemon.connect(path, t, { startedAt: 1_000 })
  await until('the first', () => server.serving(workload) === 'served')
  const newer = await FakeDaemon.connect(path, t, { startedAt: 2_000 }, { [workload.uid]: 'no certificate yet' })
  await until('the second', () => server.serving(workload) === 'unserved')
  t.equal(older.of('drain').length, 0, 'the newer one lacks a workload')
  newer.failed = {}
  await server.add(workload)
  await until('the word', () => older.of('drain').length === 1)
  t.equal(newer.of('drain').length, 0)
  await server.delta(delta(2))
  await until('both', () => older.of('delta').length === 1 && newer.of('delta').length === 1)
  newer.close()
  await until('one left', () => server.connected === 1)
  t.equal(server.serving(workload), 'absent', 'who drains serves nothing')
  await t.rejects(server.add(workload), { code: 'FEED_CLOSED' })
})

t.test(
  'a daemon is older by its start, whoever connects first, and one from before hand-overs is left alone',
  async (t) => {
    const { path } = await prepare(t)
    const newer = await FakeDaemon.connect(path, t, { startedAt: 2_000 })
    await until('the first', () => newer.received.length === 1)
    const former = await FakeDaemon.connect(path, t, { startedAt: undefined })
    const older = await FakeDaemon.connect(path, t, { startedAt: 1_000 })
    await until('the word', () => older.of('drain').length === 1)
    t.equal(newer.of('drain').length, 0)
    t.same(former.of('drain'), [])
  },
)

t.test('an older daemon is not told to drain for one that dies in its first moments', async (t) => {
  const { server, path, taken } = await prepare(t, { settleMs: 300 })
  const older = await FakeDaemon.connect(path, t, { startedAt: 1_000 })
  await until('the first', () => taken.length === 1)
  const newer = await FakeDaemon.connect(path, t, { startedAt: 2_000 })
  await until('the second', () => taken.length === 2)
  newer.close()
  await until('one left', () => server.connected === 1)
  const again = await FakeDaemon.connect(path, t, { startedAt: 3_000 })
  await until('the third', () => taken.length === 3)
  t.equal(older.of('drain').length, 0)
  await until('the word', () => older.of('drain').length === 1)
  t.equal(again.of('drain').length, 0)
})

t.test('a daemon that comes and goes while another one takes over does not hold that up', async (t) => {
  const { server, path, state, taken } = await prepare(t)
  state.value = { ...state.value, workloads: [workload] }
  const first = await FakeDaemon.connect(path, t, { startedAt: 1_000 })
  await until('the first', () => taken.length === 1)
  const third = await FakeDaemon.connect(path, t, { startedAt: 3_000 }, { [workload.uid]: 'EMFILE' })
  await until('the third', () => taken.length === 2)
  const second = await FakeDaemon.connect(path, t, { startedAt: 2_000 })
  await until('the second', () => taken.length === 3)
  t.equal(first.of('drain').length + second.of('drain').length, 0, 'the newest one lacks a workload')
  third.close()
  await until('the word', () => first.of('drain').length === 1)
  t.equal(server.serving(workload), 'served')
  t.equal(second.of('drain').length, 0)
})

t.test('a daemon that says that it drains serves nothing, now and when it connects again', async (t) => {
  const { server, path, state } = await prepare(t)
  state.value = { ...state.value, workloads: [workload] }
  const daemon = await FakeDaemon.connect(path, t, { startedAt: 1_000 })
  await until('the state', () => server.serving(workload) === 'served')
  daemon.send({ type: 'draining' })
  await until('the word', () => server.serving(workload) === 'absent')
  daemon.close()
  await until('the end', () => server.connected === 0)
  const again = await FakeDaemon.connect(path, t, { startedAt: 1_000, draining: true })
  await until('the state', () => again.of('state').length === 1)
  t.equal(server.serving(workload), 'absent')
  await server.delta(delta(2))
  await until('the model', () => again.of('delta').length === 1)
})

t.test('garbage, an unknown acknowledgement and an endless line end that connection only', async (t) => {
  const { server, path } = await prepare(t, { lineBytes: 1000 })
  for (const text of [
    'garbage\n',
    '{"type":"nonsense"}\n',
    '{"type":"ack","seq":99,"refused":[],"failed":{}}\n',
    'x'.repeat(5000),
  ]) {
    const socket = connect(path)
    socket.on('error', () => {})
    socket.resume()
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve())
      socket.write(text)
    })
  }
  await until('all gone', () => server.connected === 0)
  const daemon = await FakeDaemon.connect(path, t)
  await until('the state', () => daemon.received.length === 1)
})

t.test("another user than root and the daemon's is refused by its credentials, whatever the file mode", async (t) => {
  const { path, server } = await prepare(t)
  const saidBy = async (): Promise<string> => {
    const child = spawn('setpriv', [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      process.execPath,
      '-e',
      script,
      path,
    ])
    return await new Promise((resolve) => child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim())))
  }
  const script =
    "const s = require('net').connect(process.argv[1]); s.on('data', () => { console.log('served'); s.destroy() })" +
    ".on('error', (e) => console.log(e.code)).on('end', () => console.log('refused'))"
  chmodSync(join(path, '..'), 0o755)
  t.equal(await saidBy(), 'EACCES', 'the socket is 0660')
  chmodSync(path, 0o666)
  t.match(await saidBy(), /refused|ECONNRESET/)
  t.equal(server.connected, 0)
})

t.test('a second agent is refused while the first one runs, and takes the socket of one that has ended', async (t) => {
  const { path } = await prepare(t)
  const options = {
    path,
    state: () => undefined,
    issue: async () => ({ chain: '', bundle: '' }),
    changed: () => {},
    ready: () => {},
    log: nullLogger(),
  }
  await t.rejects(new HandoffServer(options).listen(), { code: 'SYSTEM_CALL', message: /another agent serves/ })
  t.ok(statSync(path).isSocket(), 'the first one keeps its socket')
  const ended = join(path, '..', 'ended.sock')
  const left = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(ended)},()=>process.kill(process.pid,'SIGKILL'))`,
  ])
  await new Promise((resolve) => left.once('close', resolve))
  t.ok(statSync(ended).isSocket(), 'a killed agent leaves its socket file')
  const next = new HandoffServer({ ...options, path: ended })
  await next.listen()
  await next.close()
})
