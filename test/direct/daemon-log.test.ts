// The access log of two daemons in this thread: one line per connection, what dry-run policies would have done, and what is
// counted of peers that never get as far.
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { echo, echoing, server, vip } from '../helpers/daemon-scene.ts'
import { allowOnly, counter, ending, memberOf, PlaneWorld, service, until, workload } from '../helpers/plane-world.ts'

type Line = Readonly<Record<string, unknown>>

/** A caller's daemon and the other's, which logs into `lines`. */
async function logged(test: Test) {
  const lines: Line[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line) as Line) })
  const world = await PlaneWorld.create()
  test.teardown(() => world.close())
  const near = world.host()
  const far = world.host({}, log)
  const client = workload('client', '10.0.1.1')
  const called = workload('server', server.address, { services: [memberOf('server', vip.port, server.port)] })
  world.apply([client, called, service('server', vip.address, vip.port)])
  await world.serve(near, client)
  await world.serve(far, called)
  await world.sockets.serve(server, echoing)
  const line = async (msg: string): Promise<Line> => {
    const found = () => lines.find((each) => each['msg'] === msg)
    await until(() => found() !== undefined, msg)
    return found()!
  }
  return { world, far, line, lines }
}

t.test('an inbound tunnel is logged where it came in, with what it leads to', async (t) => {
  const { world, line } = await logged(t)
  const socket = await world.sockets.captureOutbound('10.0.1.1', vip)
  t.equal(await echo(socket, 'hello'), 'hello')
  socket.end()
  t.match(await line('connection complete'), {
    'src.identity': 'spiffe://cluster.local/ns/mesh/sa/client',
    'dst.addr': '10.0.2.1:15008',
    'dst.hbone_addr': '10.0.2.1:8080',
    'dst.service': 'server.mesh.svc.cluster.local',
    direction: 'inbound',
    bytes_recv: 5,
    bytes_sent: 5,
  })
})

t.test('a peer that is refused before its first CONNECT is counted', async (t) => {
  const { world, far } = await logged(t)
  const stranger = await world.sockets.redirected('10.0.1.9', { address: server.address, port: 15_008 }, undefined)
  stranger.end('GET / HTTP/1.1\r\n\r\n')
  await ending(stranger)
  const refused = { direction: 'inbound', code: 'TUNNEL_HANDSHAKE' }
  await until(() => counter(far, 'culvert_connection_failures_total', refused) === 1, 'it is counted')
})

t.test('a storm of refused peers is one line of the log, with the peer and the reason; all are counted', async (t) => {
  const { world, far, line, lines } = await logged(t)
  for (let count = 0; count < 30; count += 1) {
    const stranger = await world.sockets.redirected('10.0.1.9', { address: server.address, port: 15_008 }, undefined)
    stranger.end('GET / HTTP/1.1\r\n\r\n')
    await ending(stranger)
  }
  const refused = { direction: 'inbound', code: 'TUNNEL_HANDSHAKE' }
  await until(() => counter(far, 'culvert_connection_failures_total', refused) === 30, 'all are counted')
  t.match(await line('a tunnel was refused'), { peer: /^[0-9.]+:[0-9]+$/, err: { code: 'TUNNEL_HANDSHAKE' } })
  t.equal(lines.filter(({ msg }) => msg === 'a tunnel was refused').length, 1)
})

t.test('a dry-run policy lets a connection pass and the log says what it would have done', async (t) => {
  const { world, line } = await logged(t)
  world.apply([{ ...allowOnly('other'), name: 'trial', dryRun: true }])
  const socket = await world.sockets.captureOutbound('10.0.1.1', vip)
  t.equal(await echo(socket, 'hello'), 'hello')
  socket.end()
  t.match(await line('connection complete'), { 'policy.dry_run': /^would be denied by mesh\/trial: / })
})

t.test('a connection that is denied says which dry-run policy would have let it in', async (t) => {
  const { world, line } = await logged(t)
  world.apply([allowOnly('other'), { ...allowOnly('client'), name: 'trial', dryRun: true }])
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', vip)), 'reset')
  t.match(await line('connection failed'), {
    code: 'POLICY_DENIED',
    'policy.dry_run': /^would be allowed by mesh\/trial/,
  })
})
