// What clients send so that one part of the waypoint takes a request for another than the next: paths, forged headers, content types.
import t from 'tap'
import type { PathNormalization } from '../../../core/decide/http/path.ts'
import { route, scene } from '../../helpers/waypoint-scene.ts'

const once: readonly (readonly [PathNormalization, string, string])[] = [
  ['NONE', '/a/../b//%2Fc%7E', '/a/../b//%2Fc%7E'],
  ['BASE', '/a/../b//%2Fc%7E', '/b//%2Fc~'],
  ['MERGE_SLASHES', '/a/../b//%2Fc%7E', '/b/%2Fc~'],
  ['DECODE_AND_MERGE_SLASHES', '/a/../b//%2Fc%7E', '/b/c~'],
  ['DECODE_AND_MERGE_SLASHES', '/public/%252F..%252Fadmin', '/public/%252F..%252Fadmin'],
  ['DECODE_AND_MERGE_SLASHES', '/public/%25%32F%2e%2E/admin', '/public/%252F../admin'],
  ['DECODE_AND_MERGE_SLASHES', '/public/%2F..%5Cadmin', '/public/admin'],
  ['DECODE_AND_MERGE_SLASHES', '/public%2F%2e%2e%2Fadmin?x=/../%2F', '/admin?x=/../%2F'],
  ['BASE', '/public/%252e%252e/admin', '/public/%252e%252e/admin'],
  ['BASE', '/public/%%32%65%2e/admin', '/public/%%32e./admin'],
]
for (const [mode, path, sent] of once) {
  t.test(`policy, routes and the endpoint see the same bytes of ${path} in mode ${mode}`, async (t) => {
    const judged: string[] = []
    const { ask, upstream, model, stack } = scene({
      pathNormalization: mode,
      authorize: (request) => {
        judged.push(request.query === undefined ? request.path : `${request.path}?${request.query}`)
        return undefined
      },
    })
    const [bare = ''] = sent.split('?')
    model.route(route({ matches: [{ path: { kind: 'exact', value: bare } }] }))
    stack.update()
    t.equal((await ask({ path })).status, 200, 'the route for just these bytes')
    t.same([judged, upstream.last.path], [[sent], sent])
  })
}

t.test('nobody passes for the holder of a certificate that it only names', async (t) => {
  const { ask, upstream } = scene()
  const forged = 'By=spiffe://cluster.local/ns/shop/sa/wp;URI=spiffe://cluster.local/ns/shop/sa/admin'
  await ask({ headers: { 'x-forwarded-client-cert': forged } })
  t.same(upstream.last.headers.all('x-forwarded-client-cert'), [])
})

t.test('gRPC-Web is ordinary HTTP', async (t) => {
  const { ask, model, stack } = scene()
  model.remove('uid-v1')
  stack.update()
  for (const [type, status] of [
    ['application/grpc', 200],
    ['application/grpc+proto', 200],
    ['application/grpc; charset=x', 200],
    ['application/grpc-web', 503],
    ['application/grpc-web+proto', 503],
    ['application/grpcx', 503],
  ] as const)
    t.equal((await ask({ method: 'POST', headers: { 'content-type': type } })).status, status, type)
})
