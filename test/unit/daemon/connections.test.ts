import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import t from 'tap'
import { MeshError } from '../../../core/base/errors.ts'
import { type ConnectionFacts, type ConnectionLimits, Connections } from '../../../daemon/connections.ts'
import type { Served } from '../../../daemon/served.ts'

const limits: ConnectionLimits = { maxConnections: 3, maxPending: 2, connectTimeoutMs: 5000, establishTimeoutMs: 5000 }
const denied = new MeshError('POLICY_DENIED', 'no')

function owner(uid = 'w'): Served {
  const netns = { path: '', inode: 1 }
  const local = { uid, namespace: 'n', name: uid, identity: '', addresses: [], netns, nameservers: [] }
  return { uid, local, model: undefined }
}

function factsOf(served: Served, direction: ConnectionFacts['direction'] = 'inbound'): ConnectionFacts {
  const source = { address: '10.0.0.1', port: 1 }
  return { direction, owner: served, source, destination: { address: '10.0.0.2', port: 2 } }
}

function registry(change: Partial<ConnectionLimits> = {}): Connections {
  return new Connections({ ...limits, ...change }, () => 7)
}

function stream(): Duplex {
  return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
}

t.test('a connection counts from its registration to its finish', async (t) => {
  const connections = registry()
  const connection = connections.register(factsOf(owner()))
  t.equal(connections.count, 1)
  t.equal(connection.state, 'connecting')
  t.equal(connection.startedAt, 7)
  connection.opened(stream(), stream())
  t.equal(connection.state, 'open')
  connection.finish()
  connection.finish()
  t.equal(connections.count, 0)
  t.equal(connection.closeReason, undefined)
})

t.test('limits refuse per workload, and open again when connections end', async (t) => {
  const connections = registry()
  const first = owner()
  const waiting = [connections.register(factsOf(first)), connections.register(factsOf(first))]
  t.throws(() => connections.register(factsOf(first)), { code: 'LIMIT_REACHED', message: /2 connections waiting/ })
  t.doesNotThrow(() => connections.register(factsOf(owner('other'))).finish())
  for (const connection of waiting) connection.opened(stream(), stream())
  const third = connections.register(factsOf(first))
  third.opened(stream(), stream())
  t.throws(() => connections.register(factsOf(first)), { code: 'LIMIT_REACHED', message: /3 connections open/ })
  third.close(denied)
  third.finish()
  t.doesNotThrow(() => connections.register(factsOf(first)).finish())
})

t.test('with all full the last eighth is for those who have few, and every refusal is told', (t) => {
  const refusals: string[] = []
  const all = { ...limits, maxConnections: 1_000, maxPending: 1_000, maxTotal: 256 }
  const connections = new Connections(
    all,
    () => 7,
    ({ uid }, limit) => refusals.push(`${uid} ${limit}`),
  )
  const [first, second, third] = [owner('first'), owner('second'), owner('third')] as const
  const open = (served: Served) => connections.register(factsOf(served)).opened(stream(), stream())
  for (let count = 0; count < 224; count++) open(first)
  t.throws(() => open(first), { code: 'LIMIT_REACHED', message: /limit of open files/ })
  open(second)
  open(second)
  t.throws(() => open(second), { code: 'LIMIT_REACHED' })
  open(third)
  for (let count = 0; count < 29; count++) open(owner(`other${count}`))
  t.throws(() => open(owner('last')), { code: 'LIMIT_REACHED' })
  t.equal(connections.count, 256)
  t.same(refusals, ['first total', 'second total', 'last total'])
  t.end()
})

t.test(
  'descriptors bound what connections may take: two in the making, one through a tunnel, two in plaintext',
  (t) => {
    const connections = new Connections(
      { ...limits, maxConnections: 100, maxPending: 100, maxDescriptors: 16 },
      () => 7,
    )
    const served = owner('one')
    const register = () => connections.register(factsOf(served))
    for (let count = 0; count < 12; count++) register().opened(new Socket(), stream())
    const making = register()
    t.throws(register, { code: 'LIMIT_REACHED' }, '14 are taken, and the rest is kept')
    making.opened(stream(), new Socket())
    const last = register()
    t.throws(register, { code: 'LIMIT_REACHED' })
    last.opened(new Socket(), new Socket())
    t.throws(register, { code: 'LIMIT_REACHED' })
    last.finish()
    register()
    t.end()
  },
)

t.test('a workload that was only ever refused is empty', async (t) => {
  const connections = registry({ maxConnections: 0 })
  const served = owner()
  t.throws(() => connections.register(factsOf(served)), { code: 'LIMIT_REACHED' })
  t.equal(await connections.whenEmpty(served, 10_000), true)
})

t.test('closing a connection that is being made aborts its waits with the reason', async (t) => {
  const connection = registry().register(factsOf(owner()))
  const { signal } = connection
  let settled = 0
  connection.onSettled(() => settled++)
  connection.close(denied)
  t.equal(signal.reason, denied)
  t.equal(connection.signal.reason, denied, 'also for who asks later')
  t.equal(settled, 1)
  const near = stream()
  const far = stream()
  t.throws(() => connection.opened(near, far), denied)
  t.ok(near.destroyed && far.destroyed, 'what was made meanwhile is reset')
  connection.onSettled(() => settled++)
  t.equal(settled, 2, 'late callbacks run at once')
  connection.finish()
})

t.test('closing an open connection resets both sides', async (t) => {
  const connection = registry().register(factsOf(owner()))
  const near = stream()
  const far = stream()
  connection.opened(near, far)
  connection.close(denied)
  connection.close(new MeshError('ABORTED', 'later'))
  t.ok(near.destroyed && far.destroyed)
  t.equal(connection.closeReason, denied, 'the first reason counts')
  connection.finish()
})

t.test('a connection that is not made in time is given up', async (t) => {
  const connections = registry({ connectTimeoutMs: 1, establishTimeoutMs: 60_000 })
  const inbound = connections.register(factsOf(owner()))
  const outbound = connections.register(factsOf(owner('other'), 'outbound'))
  await new Promise<void>((resolve) => inbound.signal.addEventListener('abort', resolve))
  t.match(inbound.closeReason, { code: 'CONNECT_FAILED', message: /application did not answer within 1 ms/ })
  t.equal(outbound.state, 'connecting')
  outbound.finish()
})

t.test('a re-check closes exactly what is denied', async (t) => {
  const connections = registry()
  const served = owner()
  const [a, b] = [connections.register(factsOf(served)), connections.register(factsOf(served))]
  a.opened(stream(), stream())
  t.equal(await connections.recheck((connection) => (connection === a ? denied : undefined)), 1)
  t.equal(a.state, 'closed')
  t.equal(b.state, 'connecting')
  b.finish()
})

t.test('a re-check of thousands lets others work in between, and a newer one takes over', async (t) => {
  const connections = registry({ maxConnections: 5000, maxPending: 5000 })
  const served = owner()
  for (let index = 0; index < 2500; index++) connections.register(factsOf(served)).opened(stream(), stream())
  let judged = 0
  const older = connections.recheck(() => {
    judged++
    return undefined
  })
  t.ok(judged < 2500, 'it pauses')
  t.equal(await connections.recheck(() => denied), 2500)
  t.equal(await older, 0)
  t.ok(judged < 2500, 'the older one stopped')
  for (const connection of connections.of(served)) connection.finish()
})

t.test('an owner is empty once its connections have finished, or not by the deadline', async (t) => {
  const connections = registry()
  const served = owner()
  t.equal(await connections.whenEmpty(served, 1000), true, 'nothing to wait for')
  const connection = connections.register(factsOf(served))
  const other = connections.register(factsOf(owner()))
  t.equal(await connections.whenEmpty(served, 1), false)
  const empty = connections.whenEmpty(served, 10_000)
  connections.closeAll(denied, served)
  connection.finish()
  t.equal(await empty, true)
  t.equal(other.state, 'connecting', 'another stay of the same uid is another owner')
  other.finish()
})
