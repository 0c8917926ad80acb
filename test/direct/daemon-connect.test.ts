// What a peer that speaks the tunnel well, but asks for anything, gets from a daemon.
import t, { type Test } from 'tap'
import { deadline } from '../../core/base/deadline.ts'
import { nullLogger } from '../../core/base/log.ts'
import { TunnelPool } from '../../core/hbone/pool.ts'
import { createCredentials } from '../../core/identity/tls.ts'
import { scene, server } from '../helpers/daemon-scene.ts'
import { allowOnly, counter, type PlaneWorld } from '../helpers/plane-world.ts'

/** A peer that speaks the tunnel well and asks for whatever it likes. */
async function stranger(world: PlaneWorld, name: string, t: Test) {
  const identity = `spiffe://cluster.local/ns/mesh/sa/${name}`
  const credentials = createCredentials(await world.ca.leaf(identity))
  const pool = new TunnelPool({
    dial: (key, signal) =>
      world.sockets.connectTcp({
        workload: { ...strangerWorkload, addresses: [key.sourceAddress] },
        to: key.destination,
        transparent: false,
        signal,
      }),
    context: () => credentials,
    log: nullLogger(),
  })
  t.teardown(() => pool.close(0))
  const key = {
    sourceUid: 'stranger',
    sourceAddress: '10.0.9.9',
    sourceIdentity: identity,
    expectedIdentities: ['spiffe://cluster.local/ns/mesh/sa/server'],
    destination: { address: server.address, port: 15008 },
    destinationUid: 'host/mesh/server/1',
  }
  return (authority: string, headers = {}) => pool.connect(key, { authority, headers }, deadline(5000))
}

const strangerWorkload = {
  uid: 'stranger',
  namespace: 'mesh',
  name: 'stranger',
  identity: '',
  addresses: [],
  netns: { path: '', inode: 0 },
  nameservers: [],
}

t.test('a CONNECT to anything but a port of the workload is refused with the right status', async (t) => {
  const { world, far } = await scene(t)
  const connect = await stranger(world, 'client', t)
  for (const authority of [
    '10.0.1.1:8080',
    '10.0.2.1:0',
    '10.0.2.1',
    'server.mesh:8080',
    '10.0.2.1:8080:1',
    '[::1]:8080',
  ]) {
    await t.rejects(connect(authority), { code: 'TUNNEL_BAD_REQUEST' }, authority)
  }
  for (const port of [15001, 15006, 15008]) {
    await t.rejects(connect(`10.0.2.1:${port}`), { code: 'TUNNEL_UNAVAILABLE' }, String(port))
  }
  world.apply([allowOnly('other')])
  await t.rejects(connect('10.0.2.1:8080'), { code: 'TUNNEL_DENIED' })
  t.equal(counter(far, 'culvert_connection_failures_total', { code: 'LOOP_REFUSED' }), 3)
})

t.test('the answer to a CONNECT carries the baggage of the workload', async (t) => {
  const { world, far } = await scene(t)
  const connect = await stranger(world, 'client', t)
  const forwarded = 'for="10.0.9.9:1";host=server.mesh.svc.cluster.local'
  const { stream, responseHeaders } = await connect('10.0.2.1:8080', { forwarded })
  t.match(responseHeaders.baggage, 'k8s.cluster.name=test,k8s.namespace.name=mesh,k8s.pod.name=server')
  const destination = { reporter: 'destination', destination_service_name: 'server' }
  t.equal(counter(far, 'istio_tcp_connections_opened_total', destination), 1)
  stream.destroy()
})
