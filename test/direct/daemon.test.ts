// Two daemons in this thread, real TLS and HTTP/2 between them: what crosses, what is refused, what a change of the model does.
import type net from 'node:net'
import t from 'tap'
import { echo, echoing, port, scene, server, vip } from '../helpers/daemon-scene.ts'
import {
  allowOnly,
  counter,
  ending,
  memberOf,
  PlaneWorld,
  readAll,
  service,
  until,
  workload,
} from '../helpers/plane-world.ts'

t.test('a connection to a service crosses the tunnel and the application sees its caller', async (t) => {
  const { world, near, far, callers } = await scene(t)
  const socket = await world.sockets.captureOutbound('10.0.1.1', vip)
  t.equal(await echo(socket, 'hello'), 'hello')
  t.same(callers, ['10.0.1.1'])
  t.equal(near.plane.outboundSessions, 1)
  t.equal(far.plane.workloads[0]?.sessions, 1)
  t.equal(near.plane.connectionCount, 1)
  const [view] = far.plane.listConnections()
  t.match(view, {
    direction: 'inbound',
    destination: '10.0.2.1:8080',
    identity: 'spiffe://cluster.local/ns/mesh/sa/client',
    state: 'open',
  })
  const labels = { destination_service: 'server.mesh.svc.cluster.local', connection_security_policy: 'mutual_tls' }
  for (const [host, reporter] of [
    [near, 'source'],
    [far, 'destination'],
  ] as const) {
    t.equal(counter(host, 'istio_tcp_connections_opened_total', { ...labels, reporter }), 1)
    t.equal(counter(host, 'istio_tcp_received_bytes_total', { ...labels, reporter, source_workload: 'client' }), 5)
    t.equal(counter(host, 'istio_tcp_sent_bytes_total', { ...labels, reporter }), 5)
  }
  socket.end()
  t.equal(await ending(socket), 'end')
  await until(() => near.plane.connectionCount + far.plane.connectionCount === 0, 'no connection is left')
  t.equal(counter(near, 'istio_tcp_connections_closed_total', { response_flags: '-' }), 1)
  t.equal(counter(far, 'istio_tcp_connections_closed_total', { response_flags: '-' }), 1)
})

t.test('connections of one workload share a session, those of another have their own', async (t) => {
  const { world, near, callers } = await scene(t)
  for (const from of ['10.0.1.1', '10.0.1.1', '10.0.1.2']) {
    t.equal(await echo(await world.sockets.captureOutbound(from, server), 'x'), 'x')
  }
  t.equal(near.plane.outboundSessions, 2)
  t.same(callers, ['10.0.1.1', '10.0.1.1', '10.0.1.2'])
})

t.test('a caller that closes its half still receives the whole answer', async (t) => {
  const { world, application } = await scene(t)
  application.removeAllListeners('connection')
  application.on('connection', (socket: net.Socket) => {
    socket.resume()
    socket.once('end', () => socket.end('a'.repeat(300_000)))
  })
  const socket = await world.sockets.captureOutbound('10.0.1.1', server)
  socket.end('question')
  t.equal((await readAll(socket)).length, 300_000)
})

t.test('what the caller sends before the tunnel stands arrives', async (t) => {
  const { world } = await scene(t)
  const opening = world.sockets.captureOutbound('10.0.1.1', server)
  const socket = await opening
  t.equal(await echo(socket, 'b'.repeat(200_000)), 'b'.repeat(200_000))
})

t.test('a connection that policy denies is reset and counted', async (t) => {
  const { world, near, far, callers } = await scene(t)
  world.apply([allowOnly('other')])
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', server)), 'reset')
  t.same(callers, [], 'the application never saw it')
  await until(() => far.plane.connectionCount === 0, 'the refused connection is gone')
  t.equal(counter(far, 'istio_tcp_connections_failed_total', { response_flags: 'DENY' }), 1)
  t.equal(counter(near, 'istio_tcp_connections_failed_total', { response_flags: 'DENY' }), 1)
  t.equal(counter(far, 'culvert_connection_failures_total', { code: 'POLICY_DENIED' }), 1)
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.2', server), 'allowed'), 'allowed')
})

t.test('a change of policy closes the live connections that it denies, within a second, and no other', async (t) => {
  const { world } = await scene(t)
  const denied = await world.sockets.captureOutbound('10.0.1.1', server)
  const kept = await world.sockets.captureOutbound('10.0.1.2', server)
  t.equal(await echo(denied, 'one'), 'one')
  t.equal(await echo(kept, 'two'), 'two')
  const start = Date.now()
  world.apply([allowOnly('other')])
  t.equal(await ending(denied), 'reset')
  t.ok(Date.now() - start < 1000)
  t.equal(await echo(kept, 'still here'), 'still here')
})

t.test('a policy that arrives while the application is being connected still closes the connection', async (t) => {
  const { world, far } = await scene(t)
  const connectTcp = world.sockets.connectTcp.bind(world.sockets)
  const held = Promise.withResolvers<void>()
  world.sockets.connectTcp = async (request) => {
    if (request.to.port === port) await held.promise
    return await connectTcp(request)
  }
  const socket = await world.sockets.captureOutbound('10.0.1.1', server)
  await until(() => far.plane.connectionCount === 1, 'the destination has registered it')
  world.apply([allowOnly()])
  held.resolve()
  t.equal(await ending(socket), 'reset')
})

t.test('a destination outside the mesh is reached in plaintext', async (t) => {
  const { world, near } = await scene(t)
  const outside = { address: '192.0.2.7', port: 9000 }
  await world.sockets.serve(outside, echoing)
  const socket = await world.sockets.captureOutbound('10.0.1.1', outside)
  t.equal(await echo(socket, 'plain'), 'plain')
  t.equal(near.plane.outboundSessions, 0)
  t.equal(counter(near, 'istio_tcp_connections_opened_total', { connection_security_policy: 'unknown' }), 1)
})

t.test(
  'plaintext from outside is taken while PERMISSIVE, with the caller’s address, and refused when STRICT',
  async (t) => {
    const { world, far, callers } = await scene(t)
    const live = await world.sockets.captureInbound('192.0.2.9', server)
    t.equal(await echo(live, 'plain'), 'plain')
    t.same(callers, ['192.0.2.9'])
    t.match(world.sockets.connects.at(-1), { bind: '192.0.2.9', transparent: true })
    const strict = { mode: 'STRICT' as const, ports: {}, source: 'mesh/default' }
    const membership = [memberOf('server', vip.port, port)]
    world.apply([workload('server', server.address, { services: membership, peerAuthentication: strict })])
    t.equal(await ending(live), 'reset', 'the live one is closed')
    t.equal(await ending(world.sockets.captureInbound('192.0.2.9', server)), 'reset')
    t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', server), 'mTLS'), 'mTLS')
    t.equal(
      counter(far, 'culvert_connection_failures_total', { direction: 'inbound-plaintext', code: 'POLICY_DENIED' }),
      2,
    )
  },
)

t.test('connections that would loop are refused', async (t) => {
  const { world, near, far } = await scene(t)
  const client = { address: '10.0.1.1' }
  for (const original of [
    undefined,
    { ...client, port: 15001 },
    { ...client, port: 15008 },
    { address: '127.0.0.1', port: 15006 },
  ]) {
    const socket = world.sockets.redirected('10.0.1.1', { ...client, port: 15001 }, original)
    t.equal(await ending(socket), 'reset', `outbound to ${original?.address}:${original?.port}`)
  }
  t.equal(counter(near, 'culvert_connection_failures_total', { code: 'LOOP_REFUSED' }), 4)
  for (const loop of [undefined, 15001, 15006, 15008]) {
    const original = loop === undefined ? undefined : { ...server, port: loop }
    const socket = world.sockets.redirected('192.0.2.9', { ...server, port: 15006 }, original)
    t.equal(await ending(socket), 'reset', `inbound to port ${loop}`)
  }
  t.equal(counter(far, 'culvert_connection_failures_total', { code: 'LOOP_REFUSED' }), 4)
})

t.test('a service without endpoint and an unknown port are refused', async (t) => {
  const { world, near } = await scene(t)
  world.apply([service('empty', '240.240.0.9', 80)])
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', { address: '240.240.0.9', port: 80 })), 'reset')
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', { address: vip.address, port: 81 })), 'reset')
  t.equal(counter(near, 'culvert_connection_failures_total', { code: 'NO_ENDPOINT' }), 1)
  t.equal(counter(near, 'culvert_connection_failures_total', { code: 'UNKNOWN_PORT' }), 1)
})

t.test('an application that does not listen resets its caller', async (t) => {
  const { world, far } = await scene(t)
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', { ...server, port: 8081 })), 'reset')
  t.equal(counter(far, 'culvert_connection_failures_total', { code: 'CONNECT_FAILED' }), 1)
})

t.test('a service whose first endpoint fails is served by another one', async (t) => {
  const { world, near } = await scene(t)
  const dead = workload('dead', '10.0.3.1', { services: [memberOf('server', vip.port, port)] })
  world.apply([dead])
  for (let round = 0; round < 10; round++) {
    t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', vip), 'x'), 'x')
  }
  t.equal(counter(near, 'istio_tcp_connections_failed_total'), 0)
})

t.test('a caller that goes away while it is being connected cancels the connect', async (t) => {
  const { world, near } = await scene(t)
  world.sockets.connectTcp = ({ signal }) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const socket = await world.sockets.captureOutbound('10.0.1.1', server)
  await until(() => near.plane.connectionCount === 1, 'the connection is known')
  socket.resetAndDestroy()
  await until(() => near.plane.connectionCount === 0, 'the connection is given up')
  t.equal(counter(near, 'culvert_connection_failures_total', { code: 'ABORTED' }), 1)
})

t.test('a workload that leaves lets its connections drain, then resets them', async (t) => {
  const { world, near } = await scene(t)
  const socket = await world.sockets.captureOutbound('10.0.1.1', server)
  t.equal(await echo(socket, 'before'), 'before')
  await near.plane.removeWorkload('host/mesh/client/1')
  t.equal(await echo(socket, 'draining'), 'draining')
  await t.rejects(world.sockets.captureOutbound('10.0.1.1', server), 'its listeners are closed')
  t.equal(await ending(socket), 'reset')
  await until(() => near.plane.outboundSessions === 0, 'its session is closed')
})

t.test('a daemon that drains carries what it has, and policy still ends what it comes to deny', async (t) => {
  const { world, near, far } = await scene(t)
  const denied = await world.sockets.captureOutbound('10.0.1.1', server)
  const kept = await world.sockets.captureOutbound('10.0.1.2', server)
  t.equal(await echo(denied, 'one'), 'one')
  t.equal(await echo(kept, 'two'), 'two')
  const drained = Promise.all([near, far].map(({ plane }) => plane.drain(Number.POSITIVE_INFINITY)))
  await t.rejects(world.sockets.captureOutbound('10.0.1.1', server), 'nothing new is accepted')
  t.equal(await echo(kept, 'draining'), 'draining')
  world.apply([allowOnly('other')])
  t.equal(await ending(denied), 'reset')
  t.equal(await echo(kept, 'still here'), 'still here')
  kept.end()
  await drained
  t.equal(near.plane.connectionCount + far.plane.connectionCount, 0)
})

t.test('an address that another workload took over is never reached under the old identity', async (t) => {
  const { world, near, far } = await scene(t)
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', server), 'old'), 'old')
  const heir = workload('heir', server.address)
  world.apply([heir], [{ kind: 'Workload', key: 'host/mesh/server/1' }])
  const refused = world.sockets.captureOutbound('10.0.1.1', server)
  t.equal(await ending(refused), 'reset', 'the old certificate is not the expected one')
  t.equal(counter(near, 'culvert_connection_failures_total', { code: 'IDENTITY_INVALID' }), 1)
  await far.plane.removeWorkload('host/mesh/server/1')
  await until(() => far.plane.connectionCount === 0, 'the old stay has ended')
  await world.serve(far, heir)
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', server), 'new'), 'new')
})

t.test('a limit on connections refuses the next one', async (t) => {
  const world = await PlaneWorld.create()
  t.teardown(() => world.close())
  const limits = { maxConnections: 1, maxPending: 10, connectTimeoutMs: 5000, establishTimeoutMs: 5000 }
  const near = world.host({ limits })
  const client = workload('client', '10.0.1.1')
  world.apply([client])
  await world.serve(near, client)
  const outside = { address: '192.0.2.7', port: 9000 }
  await world.sockets.serve(outside, echoing)
  const first = await world.sockets.captureOutbound('10.0.1.1', outside)
  t.equal(await echo(first, 'x'), 'x')
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', outside)), 'reset')
  t.equal(counter(near, 'culvert_connection_failures_total', { code: 'LIMIT_REACHED' }), 1)
  t.equal(await echo(first, 'y'), 'y')
})

t.test('garbage on every listener leaves the daemon serving', async (t) => {
  const { world } = await scene(t)
  for (const listener of [15001, 15006, 15008]) {
    for (const garbage of ['\u0000\u0001\u0002', 'GET / HTTP/1.1\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n']) {
      const opening = world.sockets.redirected('192.0.2.9', { ...server, port: listener }, undefined)
      opening.then(
        (socket) => socket.end(garbage),
        () => {},
      )
      await ending(opening)
    }
  }
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', server), 'alive'), 'alive')
})

t.test('IPv6 addresses work like IPv4 ones', async (t) => {
  const { world, near, far, callers } = await scene(t)
  const six = workload('six', 'fd00::1', { uid: 'host/mesh/six/1' })
  const target = workload('target', 'fd00::2', { uid: 'host/mesh/target/1' })
  world.apply([six, target])
  await world.serve(near, six)
  await world.serve(far, target)
  const at = { address: 'fd00::2', port }
  await world.sockets.serve(at, (socket) => {
    callers.push(socket.remoteAddress ?? '')
    echoing(socket)
  })
  t.equal(await echo(await world.sockets.captureOutbound('fd00::1', at), 'six'), 'six')
  t.same(callers, ['fd00::1'])
})

t.test('a workload that calls itself through its service is connected plainly at the end', async (t) => {
  const { world, callers } = await scene(t)
  const socket = await world.sockets.captureOutbound(server.address, vip)
  t.equal(await echo(socket, 'self'), 'self')
  t.same(callers, [server.address])
  t.match(world.sockets.connects.at(-1), { to: server, bind: undefined, transparent: false })
})
