// Two daemons and a waypoint between them that has no layer 7: what goes through it, whom the destination believes, and what
// happens to those who go around it.
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { serviceKey } from '../../core/model/snapshot.ts'
import type { Service, Workload } from '../../core/model/types.ts'
import { echo, echoing } from '../helpers/daemon-scene.ts'
import { FakeWaypoint, rawConnect, sourceHeader } from '../helpers/fake-waypoint.ts'
import {
  allowOnly,
  counter,
  ending,
  memberOf,
  PlaneWorld,
  readExactly,
  service,
  until,
  workload,
} from '../helpers/plane-world.ts'

type Line = Readonly<Record<string, unknown>>

const vip = { address: '240.240.0.1', port: 80 }
const server = { address: '10.0.2.1', port: 8080 }
const trust = 'spiffe://cluster.local/ns/mesh/sa'

const gateway: Service = {
  ...service('wp', '240.240.9.1', 15_008),
  gateway: { takes: 'service', whenUnreachable: 'refuse', bypass: 'refused' },
}
const orders: Service = { ...service('server', vip.address, vip.port), waypoint: serviceKey(gateway) }
const models = {
  client: workload('client', '10.0.1.1'),
  other: workload('other', '10.0.1.2'),
  server: workload('server', server.address, { services: [memberOf('server', vip.port, server.port)] }),
}

function instance(name: string, address: string, change: Partial<Workload> = {}): Workload {
  return workload(name, address, { serviceAccount: 'wp', services: [memberOf('wp', 15_008)], ...change })
}
const wp = instance('wp', '10.0.5.1')

/** client and other on one host, server on another, the service behind waypoint wp. */
async function scene(test: Test, waypointPatienceMs = 0) {
  const world = await PlaneWorld.create()
  const lines: Line[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line) as Line) })
  const near = world.host({ waypointPatienceMs }, log)
  const far = world.host({}, log)
  test.teardown(() => world.close())
  world.apply([...Object.values(models), wp, gateway, orders])
  await world.serve(near, models.client)
  await world.serve(near, models.other)
  await world.serve(far, models.server)
  const callers: string[] = []
  await world.sockets.serve(server, (socket) => {
    callers.push(socket.remoteAddress ?? '')
    echoing(socket)
  })
  const endpoint = { target: server, workload: models.server }
  const start = async (self: Workload) => {
    const started = await FakeWaypoint.start(world, self, endpoint)
    test.teardown(() => started.close())
    return started
  }
  const line = async (direction: string): Promise<Line> => {
    const found = () => lines.find((each) => each['direction'] === direction && 'duration' in each)
    await until(() => found() !== undefined, `a line of an ${direction} connection`)
    return found()!
  }
  const denied = () => counter(far, 'culvert_connection_failures_total', { code: 'POLICY_DENIED' })
  return { world, near, far, callers, start, line, lines, denied }
}

t.test('a service behind a waypoint is reached through it, by its virtual IP, and knows its caller', async (t) => {
  const { world, near, far, callers, start, line } = await scene(t)
  const waypoint = await start(wp)
  const socket = await world.sockets.captureOutbound('10.0.1.1', vip)
  t.equal(await echo(socket, 'hello'), 'hello')
  const [connect] = waypoint.connects
  t.equal(connect?.authority, '240.240.0.1:80')
  t.match(connect?.peer, { identity: { serviceAccount: 'client' }, address: { address: '10.0.1.1' } })
  t.match(connect?.headers.forwarded, /^for="10\.0\.1\.1:\d+";host=server\.mesh\.svc\.cluster\.local$/)
  t.equal(connect?.headers.source, undefined, 'a daemon speaks for nobody else')
  t.same(callers, ['10.0.1.1'], 'the application sees its caller')
  const [view] = far.plane.listConnections()
  t.match(view, { identity: `${trust}/client`, via: `${trust}/wp`, source: /^10\.0\.1\.1:/ })
  socket.end()
  t.match(await line('inbound'), {
    'src.addr': /^10\.0\.1\.1:\d+$/,
    'src.workload': 'client',
    'src.identity': `${trust}/client`,
    'via.waypoint': 'mesh/wp',
    'via.addr': /^10\.0\.5\.1:\d+$/,
    'via.identity': `${trust}/wp`,
    'dst.workload': 'server',
    bytes_recv: 5,
  })
  t.match(await line('outbound'), {
    'src.workload': 'client',
    'dst.addr': '10.0.5.1:15008',
    'dst.hbone_addr': '240.240.0.1:80',
    'dst.service': 'server.mesh.svc.cluster.local',
    'dst.identity': `${trust}/wp`,
    'via.waypoint': 'mesh/wp',
  })
  const labels = { source_workload: 'client', source_principal: `${trust}/client`, destination_workload: 'server' }
  t.equal(counter(far, 'istio_tcp_connections_opened_total', { ...labels, reporter: 'destination' }), 1)
  t.equal(counter(near, 'istio_tcp_connections_opened_total', { destination_workload: 'wp', reporter: 'source' }), 1)
})

t.test('the address of a workload behind it leads through it as well', async (t) => {
  const { world, callers, start } = await scene(t)
  const waypoint = await start(wp)
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', server), 'x'), 'x')
  t.same(
    waypoint.connects.map(({ authority }) => authority),
    ['10.0.2.1:8080'],
  )
  t.same(callers, ['10.0.1.1'])
})

t.test('connections of one caller share a session with the waypoint, those of another have their own', async (t) => {
  const { world, near, callers, start } = await scene(t)
  await start(wp)
  for (const from of ['10.0.1.1', '10.0.1.1', '10.0.1.2']) {
    t.equal(await echo(await world.sockets.captureOutbound(from, vip), 'x'), 'x')
  }
  t.equal(near.plane.outboundSessions, 2)
  t.same(callers, ['10.0.1.1', '10.0.1.1', '10.0.1.2'])
  const open = await world.sockets.captureOutbound('10.0.1.1', vip)
  t.equal(await echo(open, 'x'), 'x')
  world.apply([{ ...wp, uid: 'host/mesh/wp/2' }], [{ kind: 'Workload', key: wp.uid }])
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', vip), 'x'), 'x')
  t.equal(near.plane.outboundSessions, 3, 'an instance that came back is another one')
  t.equal(await echo(open, 'still here'), 'still here', 'and connections through the former go on')
})

t.test('policies hold for the caller as without a waypoint', async (t) => {
  const { world, start, callers } = await scene(t)
  await start(wp)
  const kept = await world.sockets.captureOutbound('10.0.1.1', vip)
  const closed = await world.sockets.captureOutbound('10.0.1.2', vip)
  t.equal(await echo(kept, 'x'), 'x')
  t.equal(await echo(closed, 'x'), 'x')
  world.apply([allowOnly('client')])
  t.equal(await ending(closed), 'reset', 'a change of policy closes those that it denies')
  t.equal(await echo(kept, 'y'), 'y')
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', vip), 'z'), 'z')
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.2', vip)), 'reset')
  t.same(callers, ['10.0.1.1', '10.0.1.2', '10.0.1.1'])
  const blocks = { ...allowOnly('client'), rules: [{ index: 0, clauses: [[{ sourceIps: ['10.0.1.2/32'] }]] }] }
  world.apply([blocks])
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.2', vip), 'by address'), 'by address')
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', vip)), 'reset')
})

t.test('the waypoint speaks for itself where it names nobody', async (t) => {
  const { world, far, start, callers, denied } = await scene(t)
  const waypoint = await start(wp)
  const stream = await waypoint.reach({})
  stream.write('own')
  t.equal(await readExactly(stream as never, 3), 'own')
  t.same(callers, ['10.0.5.1'])
  stream.destroy()
  await until(() => far.plane.connectionCount === 0, 'that connection is gone')
  world.apply([allowOnly('client')])
  await t.rejects(waypoint.reach({}), { code: 'TUNNEL_DENIED' })
  t.equal(denied(), 1)
})

t.test('who goes around the waypoint is denied, through the tunnel and in plaintext', async (t) => {
  const { world, far, callers, denied, lines } = await scene(t)
  t.equal(await rawConnect(world, models.client, server, {}), 401)
  t.equal(await ending(world.sockets.captureInbound('192.0.2.9', server)), 'reset')
  t.same(callers, [])
  t.equal(denied(), 2)
  t.match(
    lines.find(({ msg }) => msg === 'connection failed'),
    {
      error: /^denied by waypoint mesh\/wp: connections come through this waypoint only/,
      'src.identity': `${trust}/client`,
    },
  )
  t.equal(await rawConnect(world, models.client, { ...server, port: 9 }, {}), 503, 'another port is not behind it')
  world.apply([{ ...gateway, gateway: { ...gateway.gateway!, bypass: 'allowed' } }])
  t.equal(await rawConnect(world, models.client, server, {}), 200)
  t.equal(await echo(await world.sockets.captureInbound('192.0.2.9', server), 'plain'), 'plain')
  t.same(callers, ['10.0.1.1', '192.0.2.9'])
  t.equal(counter(far, 'culvert_caller_claims_ignored_total'), 0)
})

const claim = { [sourceHeader]: `${trust}/client`, forwarded: 'for="10.0.1.1:4711"' }

t.test('nobody but the waypoint of this destination is believed about its caller', async (t) => {
  const { world, far, callers, lines } = await scene(t)
  const elsewhere: Service = { ...gateway, name: 'wq', hostname: 'wq.mesh.svc.cluster.local', vips: [] }
  const foreign = workload('wq', '10.0.5.2', { services: [memberOf('wq', 15_008)] })
  const impostor = instance('impostor', '10.0.5.3', { serviceAccount: 'impostor' })
  const namesake = instance('wp', '10.0.5.4', { namespace: 'evil', uid: 'host/evil/wp/1' })
  const open: Service = { ...gateway, gateway: { ...gateway.gateway!, bypass: 'allowed' } }
  const served: Service = { ...service('far', '240.240.0.7', 80), waypoint: serviceKey(elsewhere) }
  world.apply([elsewhere, foreign, impostor, namesake, served])
  for (const liar of [models.other, foreign, impostor, namesake]) {
    t.equal(await rawConnect(world, liar, server, claim), 401, `${liar.namespace}/${liar.name} does not get in`)
  }
  world.apply([open, allowOnly('client')])
  for (const liar of [models.other, foreign, impostor, namesake]) {
    t.equal(await rawConnect(world, liar, server, claim), 401, `${liar.namespace}/${liar.name} is not the client`)
  }
  t.same(callers, [])
  t.equal(await rawConnect(world, models.client, server, { ...claim, [sourceHeader]: `${trust}/other` }), 200)
  t.same(callers, ['10.0.1.1'], 'what it says of itself is not used either way')
  t.equal(counter(far, 'culvert_caller_claims_ignored_total'), 9)
  const told = lines.filter(({ msg }) => /named another caller/.test(String(msg)))
  t.equal(told.length, 5, 'one line for each of them')
  t.match(told[0], { identity: `${trust}/other`, workload: models.server.uid, peer: /^10\.0\.1\.2:/ })
})

const malformed: readonly [string, Record<string, string | string[]>][] = [
  ['a caller that is named twice', { ...claim, [sourceHeader]: [`${trust}/client`, `${trust}/client`] }],
  ['two callers', { ...claim, [sourceHeader]: [`${trust}/client`, `${trust}/other`] }],
  ['a caller of another trust domain', { ...claim, [sourceHeader]: 'spiffe://evil.local/ns/mesh/sa/client' }],
  ['a host', { ...claim, [sourceHeader]: 'spiffe://cluster.local/culvert/host/h1' }],
  ['no identity', { ...claim, [sourceHeader]: 'client' }],
  ['an empty identity', { ...claim, [sourceHeader]: '' }],
  ['a caller without an address', { [sourceHeader]: `${trust}/client` }],
  ['a caller with two addresses', { ...claim, forwarded: 'for="10.0.1.1:1";for="10.0.1.2:1"' }],
  ['two forwarded headers', { ...claim, forwarded: ['for="10.0.1.1:1"', 'for="10.0.1.2:1"'] }],
  ['a caller with a name for an address', { ...claim, forwarded: 'for=client' }],
  ['a caller on the loopback', { ...claim, forwarded: 'for="127.0.0.1:1"' }],
  ['a caller on the loopback, mapped', { ...claim, forwarded: 'for="[::ffff:127.0.0.1]:1"' }],
  ['a caller at a virtual IP', { ...claim, forwarded: 'for="240.240.0.1:1"' }],
]
t.test('what a waypoint says of a caller is believed only where it can mean one thing', async (t) => {
  const { world, far, callers } = await scene(t)
  for (const [what, fields] of malformed) {
    t.equal(await rawConnect(world, wp, server, fields), 400, what)
  }
  t.same(callers, [])
  t.equal(counter(far, 'culvert_connection_failures_total', { code: 'TUNNEL_BAD_REQUEST' }), malformed.length)
  t.equal(await rawConnect(world, wp, server, claim), 200)
  t.same(callers, ['10.0.1.1'])
})

t.test('a caller of the other address family is who it is, without the application seeing its address', async (t) => {
  const { world, callers, far } = await scene(t)
  world.apply([{ ...allowOnly(), rules: [{ index: 0, clauses: [[{ sourceIps: ['fd00::/16'] }]] }] }])
  t.equal(await rawConnect(world, wp, server, claim), 401)
  t.equal(await rawConnect(world, wp, server, { ...claim, forwarded: 'for="[fd00::1]:1"' }), 200)
  t.same(callers, [server.address])
  t.equal(world.sockets.connects.at(-1)?.transparent, false)
  t.equal(counter(far, 'istio_tcp_connections_opened_total', { source_principal: `${trust}/client` }), 1)
})

t.test('without an instance nothing gets past a waypoint; another instance is tried before that', async (t) => {
  const { world, near, callers, start, lines } = await scene(t)
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', vip)), 'reset')
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', server)), 'reset')
  t.match(
    lines.find(({ msg }) => msg === 'connection failed'),
    {
      error: /^waypoint mesh\/wp, which stands before 240\.240\.0\.1:80: .*nothing goes around it/,
      'via.waypoint': 'mesh/wp',
    },
  )
  t.same(callers, [])
  world.apply([instance('wp-2', '10.0.5.2')])
  await start(instance('wp-2', '10.0.5.2'))
  for (let round = 0; round < 5; round += 1) {
    t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', vip), 'x'), 'x')
    t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', server), 'x'), 'x')
  }
  t.equal(counter(near, 'istio_tcp_connections_failed_total'), 2)
})

t.test('connections wait for a waypoint that is on its way back', async (t) => {
  const { world, near, callers, start } = await scene(t, 60_000)
  const early = await world.sockets.captureOutbound('10.0.1.1', vip)
  await until(() => near.plane.connectionCount === 1, 'the connection is known')
  world.apply([], [{ kind: 'Workload', key: wp.uid }])
  const later = await world.sockets.captureOutbound('10.0.1.2', server)
  const gone = await world.sockets.captureOutbound('10.0.1.2', server)
  await until(() => near.plane.connectionCount === 3, 'the others are known')
  gone.resetAndDestroy()
  await until(() => near.plane.connectionCount === 2, 'who does not want to wait does not')
  const back = { ...wp, uid: 'host/mesh/wp/2' }
  await start(back)
  world.apply([back])
  t.equal(await echo(early, 'x'), 'x')
  t.equal(await echo(later, 'x'), 'x')
  t.same([...callers].sort(), ['10.0.1.1', '10.0.1.2'])
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', { ...vip, port: 81 })), 'reset', 'only for a waypoint')
})

t.test('a waypoint that answers 503 is there: nobody waits for it', async (t) => {
  const { world, start } = await scene(t, 60_000)
  const waypoint = await start(wp)
  waypoint.answer = (connect) => connect.reject(503)
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', vip)), 'reset')
  t.equal(waypoint.connects.length, 1)
})

t.test('a waypoint that may be gone around when it is away is, once no instance answers', async (t) => {
  const { world, callers, denied } = await scene(t)
  const open = { ...gateway, gateway: { takes: 'service', whenUnreachable: 'bypass', bypass: 'allowed' } as const }
  world.apply([open])
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', vip), 'x'), 'x')
  t.same(callers, ['10.0.1.1'])
  world.apply([{ ...open, gateway: { ...open.gateway, bypass: 'refused' } }])
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', vip)), 'reset', 'the destination has the last word')
  t.equal(denied(), 2, 'the live connection was closed as well')
})

t.test('a refusal of the waypoint is final', async (t) => {
  const { world, near, start } = await scene(t)
  const first = await start(wp)
  const second = instance('wp-2', '10.0.5.2')
  world.apply([second])
  const other = await start(second)
  for (const waypoint of [first, other]) waypoint.answer = (connect) => connect.reject(401)
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', vip)), 'reset')
  t.equal(first.connects.length + other.connects.length, 1)
  t.equal(counter(near, 'istio_tcp_connections_failed_total', { response_flags: 'DENY' }), 1)
})

t.test('a destination that gets a waypoint closes what did not come through it, and takes what does', async (t) => {
  const { world, start, denied } = await scene(t)
  await start(wp)
  const { waypoint: _, ...bare } = orders
  world.apply([bare])
  const direct = await world.sockets.captureOutbound('10.0.1.1', vip)
  const plain = await world.sockets.captureInbound('192.0.2.9', server)
  t.equal(await echo(direct, 'x'), 'x')
  t.equal(await echo(plain, 'x'), 'x')
  world.apply([orders])
  t.equal(await ending(direct), 'reset')
  t.equal(await ending(plain), 'reset')
  t.equal(denied(), 2)
  const through = await world.sockets.captureOutbound('10.0.1.1', vip)
  t.equal(await echo(through, 'x'), 'x')
  world.apply([bare])
  t.equal(await ending(through), 'reset', 'who spoke for the caller may no longer')
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', vip), 'x'), 'x')
  world.apply([{ ...models.server, waypoint: serviceKey(gateway) }])
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', server), 'x'), 'x', 'its own waypoint')
})

t.test('a waypoint that leaves the model lets nobody past until its Gateway is back', async (t) => {
  const { world, start } = await scene(t)
  await start(wp)
  const live = await world.sockets.captureOutbound('10.0.1.1', vip)
  t.equal(await echo(live, 'x'), 'x')
  world.apply([], [{ kind: 'Service', key: serviceKey(gateway) }])
  t.equal(await ending(live), 'reset')
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', vip)), 'reset')
  t.equal(await rawConnect(world, wp, server, claim), 401, 'not even the one that was it')
  world.apply([gateway])
  t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', vip), 'x'), 'x')
})
