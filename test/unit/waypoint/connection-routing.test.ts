// What a client may speak before it has said anything.
import t from 'tap'
import type { RateLimit, RateLimitTarget } from '../../../core/model/rate-limits.ts'
import type { Clusters } from '../../../waypoint/clusters/clusters.ts'
import { ConnectionRouting } from '../../../waypoint/connection-routing.ts'
import { protocolOf } from '../../../waypoint/detect.ts'
import type { Origin } from '../../../waypoint/exchange.ts'
import { testOrigin } from '../../helpers/http1-world.ts'
import { keyOf, Model, service } from '../../helpers/waypoint-scene.ts'

const own = 'shop/wp.shop.svc.cluster.local'

function hint(target: RateLimitTarget | undefined, portName: string, port = 80): string | undefined {
  const model = new Model()
  const ports = [{ name: portName, port, protocol: 'TCP' }] as const
  const orders = service('orders', { ports })
  model.add(orders)
  const limit = { namespace: 'shop', name: 'l', targets: target === undefined ? [] : [target], rules: [] }
  const limits = [limit] as unknown as readonly RateLimit[]
  if (target?.kind === 'service') model.limits.set(target.service, limits)
  if (target?.kind === 'waypoint') model.limits.set(target.waypoint, limits)
  const routing = new ConnectionRouting(model, {} as Clusters, Math.random, own)
  const origin: Origin = { ...testOrigin, destination: { address: '240.240.0.1', port }, service: orders }
  return routing.hintFor(origin)
}

t.test('who waits before the first request does not get past a rate limit', async (t) => {
  const ofService = { kind: 'service', service: keyOf('orders') } as const
  t.equal(hint(undefined, 'main'), undefined, 'without one, silence says that the server speaks first')
  t.equal(hint(ofService, 'main'), 'client-first')
  t.equal(hint({ ...ofService, port: 80 }, 'main'), 'client-first')
  t.equal(hint({ ...ofService, port: 81 }, 'main'), undefined, 'that of another port')
  t.equal(hint({ kind: 'waypoint', waypoint: own }, 'main'), 'client-first')
  t.equal(hint(ofService, 'http-main'), 'http')
  t.equal(hint(ofService, 'tcp-main'), 'tcp', 'the name says that nobody looks into it')
  const bytes = (text: string) => Buffer.from(text, 'latin1')
  t.equal(protocolOf(bytes(''), 'client-first', true), undefined)
  t.equal(protocolOf(bytes(''), undefined, true), 'tcp')
  t.equal(protocolOf(bytes('GET / HTTP/1.1\r\n'), 'client-first'), 'http1')
  t.equal(protocolOf(bytes('\x16\x03\x01'), 'client-first'), 'tcp', 'what is no HTTP passes all the same')
})
