// What a daemon does when a peer is no longer what it was: endpoints that go, move or fail, certificates and trust that change.
import t, { type Test } from 'tap'
import { MeshError } from '../../core/base/errors.ts'
import { echo, echoing, port, scene, server, vip } from '../helpers/daemon-scene.ts'
import { FakeCa } from '../helpers/fake-ca.ts'
import { allowOnly, counter, ending, type Host, memberOf, until, workload } from '../helpers/plane-world.ts'

const twin = { address: '10.0.3.1', port }
const membership = [memberOf('server', vip.port, port)]
const serverIdentity = 'spiffe://cluster.local/ns/mesh/sa/server'
const clientIdentity = 'spiffe://cluster.local/ns/mesh/sa/client'

const opened = (host: Host) => counter(host, 'istio_tcp_connections_opened_total', { reporter: 'destination' })
const failures = (host: Host, code: string) => counter(host, 'culvert_connection_failures_total', { code })

/** The scene, and a second endpoint of the service on a host of its own. */
async function twins(t: Test) {
  const base = await scene(t)
  const third = base.world.host()
  const second = workload('twin', twin.address, { services: membership })
  base.world.apply([second])
  await base.world.serve(third, second)
  await base.world.sockets.serve(twin, echoing)
  const ask = async () => {
    const socket = await base.world.sockets.captureOutbound('10.0.1.1', vip)
    const answer = await echo(socket, 'x')
    socket.end()
    return answer
  }
  return { ...base, third, ask }
}

/** Has both endpoints been used? */
async function both(t: Test, { far, third, ask }: Awaited<ReturnType<typeof twins>>): Promise<void> {
  for (let round = 0; round < 100 && (opened(far) === 0 || opened(third) === 0); round++) await ask()
  t.ok(opened(far) > 0 && opened(third) > 0)
}

t.test('an endpoint that leaves gets nothing new from one moment to the next, and keeps what it has', async (t) => {
  const all = await twins(t)
  const { world, near, far, third, ask } = all
  await both(t, all)
  const live = await world.sockets.captureOutbound('10.0.1.1', server)
  t.equal(await echo(live, 'live'), 'live')
  world.apply([], [{ kind: 'Workload', key: 'host/mesh/server/1' }])
  await until(() => near.plane.outboundSessions === 2, 'both sessions are there still')
  const before = opened(far)
  const others = opened(third)
  for (let round = 0; round < 20; round++) t.equal(await ask(), 'x')
  t.equal(opened(far), before)
  t.equal(opened(third), others + 20)
  t.equal(await echo(live, 'still live'), 'still live')
  live.end()
  await until(() => near.plane.outboundSessions === 1, 'the session of the one that left ends with its last stream')
})

for (const [identity, heir] of [
  ['another', workload('heir', server.address)],
  ['the same', workload('server', server.address, { uid: 'host/mesh/server/2' })],
] as const) {
  t.test(
    `an address that moved to a workload with ${identity} identity on another host is reached there`,
    async (t) => {
      const { world, near, far } = await scene(t)
      const live = await world.sockets.captureOutbound('10.0.1.1', server)
      t.equal(await echo(live, 'old'), 'old')
      const third = world.host()
      // The old host knows of nothing yet: its listener still answers at the address, with the old certificate.
      world.apply([heir], [{ kind: 'Workload', key: 'host/mesh/server/1' }])
      const early = world.sockets.captureOutbound('10.0.1.1', server)
      if (heir.name === 'heir') {
        t.equal(await ending(early), 'reset', 'the old one is not whom the model names')
        t.equal(failures(near, 'IDENTITY_INVALID'), 1)
      } else t.equal(await echo(await early, 'same'), 'same', 'the same identity may answer')
      await far.plane.removeWorkload('host/mesh/server/1')
      await world.serve(third, heir)
      const before = opened(far)
      t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', server), 'new'), 'new')
      t.equal(opened(third), 1, `${heir.uid} answered on its new host`)
      t.equal(opened(far), before, 'while the old session still lives')
      t.equal(await echo(live, 'drains'), 'drains')
      live.destroy()
    },
  )
}

t.test('a peer whose certificate the new trust bundle does not cover opens nothing more', async (t) => {
  const { world, near, far } = await scene(t)
  const next = await FakeCa.create()
  const own = await world.ca.leaf(serverIdentity)
  far.plane.setCertificate(own)
  const connect = () => world.sockets.captureOutbound('10.0.1.1', server)
  const live = await connect()
  t.equal(await echo(live, 'before'), 'before')
  const sessions = counter(far, 'culvert_tunnel_sessions', { direction: 'inbound' })
  far.plane.setCertificate({ ...own, bundlePem: next.bundlePem })
  t.equal(await ending(connect()), 'reset', 'not on the session that was verified before')
  t.ok(failures(far, 'IDENTITY_INVALID') + failures(far, 'TUNNEL_HANDSHAKE') >= 1)
  t.equal(failures(near, 'TUNNEL_HANDSHAKE'), 1)
  t.equal(await echo(live, 'what is open goes on'), 'what is open goes on')
  const renewed = await next.leaf(clientIdentity)
  near.plane.setCertificate({ ...renewed, bundlePem: world.ca.bundlePem + next.bundlePem })
  t.equal(await echo(await connect(), 'after'), 'after')
  t.equal(await echo(live, 'and on'), 'and on')
  live.end()
  await until(
    () => counter(far, 'culvert_tunnel_sessions', { direction: 'inbound' }) === sessions,
    'the old session ends with its last stream',
  )
})

t.test('connections during a change of certificates and trust on both ends all succeed', async (t) => {
  const { world, near, far } = await scene(t)
  const next = await FakeCa.create()
  const bundlePem = world.ca.bundlePem + next.bundlePem
  const steps = [
    async () => far.plane.setCertificate({ ...(await world.ca.leaf(serverIdentity)), bundlePem }),
    async () => near.plane.setCertificate({ ...(await world.ca.leaf(clientIdentity)), bundlePem }),
    async () => far.plane.setCertificate({ ...(await next.leaf(serverIdentity)), bundlePem }),
    async () => near.plane.setCertificate({ ...(await next.leaf(clientIdentity)), bundlePem }),
    async () => far.plane.setCertificate(await next.leaf(serverIdentity)),
    async () => near.plane.setCertificate(await next.leaf(clientIdentity)),
  ]
  const pending: Promise<string>[] = []
  const ask = async () => await echo(await world.sockets.captureOutbound('10.0.1.1', server), 'x')
  for (const step of steps) {
    for (let count = 0; count < 10; count++) pending.push(ask())
    await step()
    for (let count = 0; count < 10; count++) pending.push(ask())
  }
  t.same(new Set(await Promise.all(pending)), new Set(['x']))
  t.equal(counter(near, 'istio_tcp_connections_failed_total'), 0)
})

t.test('an endpoint that failed is not the first choice of the next connections', async (t) => {
  const { world, near } = await scene(t)
  world.apply([workload('dead', '10.0.4.1', { services: membership })])
  for (let round = 0; round < 40; round++) {
    t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', vip), 'x'), 'x')
  }
  const tries = world.sockets.connects.filter(({ to }) => to.address === '10.0.4.1').length
  t.ok(tries <= 2, `${tries} of 40 connections tried it`)
  t.equal(counter(near, 'culvert_connect_retries_total', { how: 'other-endpoint' }), tries)
})

t.test(
  'an endpoint that swallows every packet does not hold a connection for as long as a connect takes',
  async (t) => {
    const { world } = await scene(t)
    world.apply([workload('lost', '10.0.4.1', { services: membership })])
    const connectTcp = world.sockets.connectTcp.bind(world.sockets)
    let lost = 0
    world.sockets.connectTcp = async (request) => {
      if (request.to.address !== '10.0.4.1') return await connectTcp(request)
      lost += 1
      return await new Promise((_resolve, reject) => {
        request.signal.addEventListener('abort', () => reject(new MeshError('ABORTED', 'played')))
      })
    }
    for (let round = 0; round < 30 || lost === 0; round++) {
      t.equal(await echo(await world.sockets.captureOutbound('10.0.1.1', vip), 'x'), 'x')
    }
    t.equal(lost, 1)
  },
)

t.test('three endpoints are tried, not more', async (t) => {
  const { world, near } = await scene(t)
  const dead = [1, 2, 3, 4, 5].map((number) => {
    return workload(`dead${number}`, `10.0.5.${number}`, { services: membership })
  })
  world.apply(dead, [{ kind: 'Workload', key: 'host/mesh/server/1' }])
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', vip)), 'reset')
  t.equal(new Set(world.sockets.connects.map(({ to }) => to.address)).size, 3)
  t.equal(counter(near, 'culvert_connect_retries_total', { how: 'other-endpoint' }), 2)
})

t.test('a denial is not asked for again, neither there nor at another endpoint', async (t) => {
  const { world, far, third, near } = await twins(t)
  world.apply([allowOnly('other')])
  t.equal(await ending(world.sockets.captureOutbound('10.0.1.1', vip)), 'reset')
  t.equal(failures(far, 'POLICY_DENIED') + failures(third, 'POLICY_DENIED'), 1)
  t.equal(counter(near, 'culvert_connect_retries_total'), 0)
})
