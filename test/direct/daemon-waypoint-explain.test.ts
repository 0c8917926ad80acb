// What `explain` says of connections around a waypoint is what becomes of them, for every way in and every setting.
import type net from 'node:net'
import t from 'tap'
import { explain } from '../../core/decide/explain/explain.ts'
import { serviceKey } from '../../core/model/snapshot.ts'
import type { Authorization, Service, WaypointGateway, Workload } from '../../core/model/types.ts'
import { formatSocketAddress, type SocketAddress } from '../../core/net/address.ts'
import { echo, echoing } from '../helpers/daemon-scene.ts'
import { FakeWaypoint } from '../helpers/fake-waypoint.ts'
import { allowOnly, ending, memberOf, PlaneWorld, service, workload } from '../helpers/plane-world.ts'

const vip = { address: '240.240.0.1', port: 80 }
const server = { address: '10.0.2.1', port: 8080 }
const strict = { mode: 'STRICT' as const, ports: {} }

function gateway(change: Partial<WaypointGateway>): Service {
  const settings = { takes: 'service', whenUnreachable: 'refuse', bypass: 'refused', ...change } as const
  return { ...service('wp', '240.240.9.1', 15_008), gateway: settings }
}
const key = serviceKey(gateway({}))
const bare = service('server', vip.address, vip.port)
const called = workload('server', server.address, { services: [memberOf('server', vip.port, server.port)] })
const callers = [workload('client', '10.0.1.1'), workload('other', '10.0.1.2')]
const stranger = workload('stranger', '10.0.1.9', { enrolled: false, protocol: 'TCP' })
const wp = workload('wp', '10.0.5.1', { services: [memberOf('wp', 15_008)] })

interface Setting {
  readonly name: string
  readonly gateway?: Partial<WaypointGateway>
  readonly service?: Service
  readonly called?: Workload
  readonly policy?: Authorization
  /** Its Gateway is there, and no instance. */
  readonly away?: true
}

const behind = { ...bare, waypoint: key }
const settings: readonly Setting[] = [
  { name: 'no waypoint', service: bare },
  { name: 'a waypoint of the service' },
  { name: 'a waypoint of the workload', service: bare, called: { ...called, waypoint: key } },
  { name: 'a waypoint that may be gone around', gateway: { bypass: 'allowed' } },
  { name: 'a waypoint that takes everything and may be gone around', gateway: { bypass: 'allowed', takes: 'all' } },
  { name: 'a policy for the caller', policy: allowOnly('client') },
  { name: 'a policy for the waypoint', policy: allowOnly('wp') },
  { name: 'a policy for nobody', policy: allowOnly() },
  { name: 'STRICT', called: { ...called, peerAuthentication: strict }, gateway: { bypass: 'allowed' } },
  { name: 'no instance', away: true },
  { name: 'no instance, and it may be gone around', away: true, gateway: { bypass: 'allowed' } },
  {
    name: 'no instance, and it is gone around',
    away: true,
    gateway: { whenUnreachable: 'bypass', bypass: 'allowed' },
  },
  { name: 'no instance, and going around is tried', away: true, gateway: { whenUnreachable: 'bypass' } },
  { name: 'a waypoint that the model does not know', service: { ...bare, waypoint: 'mesh/nobody' } },
]

for (const setting of settings) {
  t.test(`explained and done with ${setting.name}`, async (t) => {
    const world = await PlaneWorld.create()
    const near = world.host({ waypointPatienceMs: 0 })
    const far = world.host()
    t.teardown(() => world.close())
    const endpoint = setting.called ?? called
    const there = [...callers, stranger, endpoint, gateway(setting.gateway ?? {}), setting.service ?? behind]
    world.apply([...there, ...(setting.policy === undefined ? [] : [setting.policy])])
    for (const caller of callers) await world.serve(near, caller)
    await world.serve(far, endpoint)
    const seen: string[] = []
    await world.sockets.serve(server, (socket) => {
      seen.push(socket.remoteAddress ?? '')
      echoing(socket)
    })
    const waypoint = await FakeWaypoint.start(world, wp, { target: server, workload: endpoint })
    t.teardown(() => waypoint.close())
    if (setting.away === undefined) world.apply([wp])

    const compare = async (source: Workload, to: SocketAddress, open: () => Promise<net.Socket>) => {
      const what = `${source.name} to ${formatSocketAddress(to)}`
      const question = { source: source.uid, destination: formatSocketAddress(to) }
      const { verdict, paths, summary } = explain(near.plane.snapshot, question)
      const [path] = paths
      waypoint.connects.length = 0
      seen.length = 0
      const happened = await outcomeOf(open)
      const through = path?.waypoint?.outcome === 'passed'
      t.equal(happened, verdict === 'allowed' ? 'answered' : 'refused', `${what}: ${summary}`)
      t.equal(waypoint.connects.length, through ? 1 : 0, `${what} ${through ? 'goes through' : 'does not meet'} it`)
      if (verdict === 'allowed') t.same(seen, [path?.callerSeen], `${what}: the caller as the application sees it`)
      else t.same(seen, [], `${what}: the application sees nobody`)
    }
    for (const to of [vip, server]) {
      for (const caller of callers) {
        await compare(caller, to, () => world.sockets.captureOutbound(caller.addresses[0]!, to))
      }
    }
    await compare(stranger, server, () => world.sockets.captureInbound('10.0.1.9', server))
  })
}

async function outcomeOf(open: () => Promise<net.Socket>): Promise<'answered' | 'refused'> {
  let socket: net.Socket
  try {
    socket = await open()
    const answer = await echo(socket, 'x').catch(() => '')
    if (answer === 'x') {
      socket.destroy()
      return 'answered'
    }
  } catch {
    return 'refused'
  }
  await ending(socket)
  return 'refused'
}
