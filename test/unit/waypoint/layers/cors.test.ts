// CORS through the stack: preflights, simple requests, origins that do not match.
import t from 'tap'
import type { CorsPolicy } from '../../../../core/model/routes.ts'
import { route, scene } from '../../../helpers/waypoint-scene.ts'

const policy: CorsPolicy = {
  origins: [
    { kind: 'exact', value: 'https://a.example' },
    { kind: 'wildcard', before: 'https://', after: '.b.example' },
  ],
  methods: ['GET', 'PUT'],
  headers: ['x-one', 'x-two'],
  expose: ['x-seen'],
  maxAgeSeconds: 10,
  credentials: false,
  forwardUnmatched: false,
}

function crossing(more: Partial<CorsPolicy> = {}) {
  const found = scene()
  found.model.route(route({ filters: { cors: { ...policy, ...more } } }))
  found.stack.update()
  found.upstream.script = (attempt) => attempt.answer(200, { vary: 'accept' }, 'app')
  const preflight = (origin: string, headers = {}) =>
    found.ask({
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'x-one',
        ...headers,
      },
    })
  return { ...found, preflight }
}

t.test('a preflight is answered here', async (t) => {
  const { preflight, upstream } = crossing()
  for (const origin of ['https://a.example', 'https://any.b.example']) {
    const { status, headers } = await preflight(origin)
    t.equal(status, 200)
    t.same(headers.flat, [
      ...['access-control-allow-origin', origin, 'vary', 'origin'],
      ...['access-control-allow-methods', 'GET, PUT', 'access-control-allow-headers', 'x-one, x-two'],
      ...['access-control-max-age', '10'],
    ])
  }
  t.equal(upstream.tries.length, 0)
})

t.test('a preflight of another origin gets nothing, or goes on where the rule says so', async (t) => {
  const { preflight, upstream } = crossing()
  for (const origin of ['https://evil.example', 'https://.b.example', 'https://a.example.evil']) {
    t.same((await preflight(origin)).headers.flat, [])
  }
  t.equal(upstream.tries.length, 0)
  const open = crossing({ forwardUnmatched: true })
  const { body, headers } = await open.preflight('https://evil.example')
  t.same([body, headers.has('access-control-allow-origin')], ['app', false])
})

t.test('answers may be read by the origins that match', async (t) => {
  const { ask, upstream } = crossing()
  const { headers, body } = await ask({ headers: { origin: 'https://a.example' } })
  t.equal(body, 'app')
  t.equal(headers.get('access-control-allow-origin'), 'https://a.example')
  t.same(headers.all('vary'), ['accept', 'origin'])
  t.equal(headers.get('access-control-expose-headers'), 'x-seen')
  for (const sent of [{ origin: 'https://evil.example' }, {}] as Readonly<Record<string, string>>[]) {
    t.notOk((await ask({ headers: sent })).headers.has('access-control-allow-origin'))
  }
  t.equal(upstream.tries.length, 3, 'what does not match is served all the same')
})

t.test('OPTIONS that is no preflight goes on', async (t) => {
  const { ask, upstream } = crossing()
  await ask({ method: 'OPTIONS', headers: { origin: 'https://a.example' } })
  t.equal(upstream.tries.length, 1)
})

t.test('everybody: a star, but never with credentials', async (t) => {
  const any: Partial<CorsPolicy> = { origins: [{ kind: 'present' }], methods: ['*'], headers: ['*'] }
  const open = (await crossing(any).preflight('https://x')).headers
  t.equal(open.get('access-control-allow-origin'), '*')
  t.same([open.get('access-control-allow-methods'), open.get('access-control-allow-headers')], ['*', '*'])
  const { headers } = await crossing({ ...any, credentials: true }).preflight('https://x')
  t.equal(headers.get('access-control-allow-origin'), 'https://x')
  t.equal(headers.get('access-control-allow-credentials'), 'true')
  t.same([headers.get('access-control-allow-methods'), headers.get('access-control-allow-headers')], ['PUT', 'x-one'])
})

t.test('errors of the waypoint itself can be read too', async (t) => {
  const { ask, upstream } = crossing()
  upstream.script = (attempt) => attempt.fail('denied')
  const { status, headers } = await ask({ headers: { origin: 'https://a.example' } })
  t.same([status, headers.get('access-control-allow-origin')], [403, 'https://a.example'])
})
