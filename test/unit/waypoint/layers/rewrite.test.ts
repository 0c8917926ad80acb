// What rules change on the way: headers both ways, host, path.
import t from 'tap'
import type { HeaderChanges, RouteFilters } from '../../../../core/model/routes.ts'
import { route, scene, toService } from '../../../helpers/waypoint-scene.ts'

function changing(
  filters: RouteFilters,
  ofBackend: RouteFilters = {},
  matches = [{ path: { kind: 'segments', value: '/old' } }] as const,
) {
  const found = scene()
  const destinations = [toService('orders', 1, { filters: ofBackend })]
  found.model.route(route({ matches, filters, action: { kind: 'forward', destinations } }))
  found.stack.update()
  return found
}

const changes = (more: Partial<HeaderChanges>): HeaderChanges => ({ set: [], add: [], remove: [], ...more })

t.test('headers are removed, set and added, whatever their case; of the route, then of the backend', async (t) => {
  const request = changes({
    remove: ['X-Gone'],
    set: [{ name: 'X-Set', value: 'new' }],
    add: [
      { name: 'X-Add', value: 'more' },
      { name: 'X-Fresh', value: '1' },
    ],
  })
  const { ask, upstream } = changing({ request }, { request: changes({ set: [{ name: 'x-fresh', value: '2' }] }) })
  await ask({ path: '/old', headers: { 'x-gone': '1', 'x-set': 'old', 'x-add': 'old', 'x-kept': '1' } })
  const { headers } = upstream.last
  t.same(
    ['x-gone', 'x-set', 'x-add', 'x-fresh', 'x-kept'].map((name) => headers.all(name)),
    [[], ['new'], ['old,more'], ['2'], ['1']],
  )
})

t.test('answers: of the backend, then of the route; cookies stay apart', async (t) => {
  const response = changes({ set: [{ name: 'server', value: 'route' }], add: [{ name: 'set-cookie', value: 'b=2' }] })
  const { ask, upstream } = changing(
    { response },
    { response: changes({ set: [{ name: 'server', value: 'backend' }], remove: ['x-debug'] }) },
  )
  upstream.script = (attempt) => attempt.answer(200, { server: 'app', 'set-cookie': 'a=1', 'x-debug': '1' })
  const { headers } = await ask({ path: '/old' })
  t.same(headers.flat, ['server', 'route', 'set-cookie', 'a=1', 'set-cookie', 'b=2'])
})

t.test('framing, host and connection are not for rules', async (t) => {
  const set = ['Content-Length', 'Transfer-Encoding', 'Connection', 'Host', 'TE', ':path'].map((name) => ({
    name,
    value: 'x',
  }))
  const { ask, upstream } = changing({ request: changes({ set, remove: ['content-length'] }) })
  await ask({ path: '/old', headers: { 'content-length': '0' } })
  t.same(upstream.last.headers.flat.slice(0, 2), ['content-length', '0'])
  t.equal(upstream.last.headers.count, 4)
})

t.test('host and path, with the query of the request unless the new path brings one', async (t) => {
  const rewrite = { host: 'new.example', path: { kind: 'segments', prefix: '/old', value: '/new' } } as const
  const { ask, upstream } = changing({ rewrite })
  await ask({ path: '/old/a?x=1' })
  t.same([upstream.last.authority, upstream.last.path], ['new.example', '/new/a?x=1'])
  await ask({ path: '/old' })
  t.equal(upstream.last.path, '/new')
  const full = changing({ rewrite: { path: { kind: 'full', value: '/q?own=1' } } })
  await full.ask({ path: '/old?x=1' })
  t.same([full.upstream.last.authority, full.upstream.last.path], ['orders', '/q?own=1'])
})

t.test('a header that cannot be sent: 500, never a request with two meanings', async (t) => {
  const { ask, upstream } = changing({ request: changes({ set: [{ name: 'x-bad', value: 'a\r\nhost: evil' }] }) })
  t.equal((await ask({ path: '/old' })).status, 500)
  t.equal(upstream.tries.length, 0)
})

t.test('what a rule leaves of a path must not climb out of where the rule leads', async (t) => {
  const rewrite = { path: { kind: 'matched', value: '/files/' } } as const
  const matches = [{ path: { kind: 'prefix', value: '/public' } }] as const
  const { ask, upstream, told } = changing({ rewrite }, {}, matches as never)
  for (const path of ['/public../secret', '/public..', '/public./x', '/public..%2Fsecret', '/public..?x=1']) {
    t.equal((await ask({ path })).status, 400, path)
  }
  t.match(told.at(-1), { reason: /dot segments/, attempts: 0 })
  t.equal(upstream.tries.length, 0)
  for (const [path, sent] of [
    ['/public/..a', '/files//..a'],
    ['/public...', '/files/...'],
    ['/publica?x=/../b', '/files/a?x=/../b'],
  ] as const) {
    t.equal((await ask({ path })).status, 200, path)
    t.equal(upstream.last.path, sent)
  }
})
