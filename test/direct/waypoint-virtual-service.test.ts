// Every field of a VirtualService's HTTP rules on the wire: applied to a control plane, carried out by a real waypoint, seen at real
// endpoints. One rule per field; the tables of what istiod and Envoy make of each are in test/unit/compile/routes and test/unit/decide.
import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import type { MeshObject } from '../../core/model/resource.ts'
import { until } from '../helpers/control-world.ts'
import { type Caller, WaypointWorld } from '../helpers/waypoint-world.ts'

type Rule = Readonly<Record<string, unknown>>

const toV1 = [{ destination: { host: 'orders', subset: 'v1' } }]
const toV2 = [{ destination: { host: 'orders', subset: 'v2' } }]

const subsets: MeshObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'orders', namespace: 'shop' },
  spec: {
    host: 'orders',
    subsets: ['v1', 'v2', 'v9'].map((name) => ({ name, labels: { version: name } })),
  },
}

const virtualService = (http: readonly Rule[], name = 'orders', more: object = { hosts: ['orders'] }): MeshObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace: 'shop' },
  spec: { ...more, http },
})

interface Got {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

interface Asked {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly host?: string
  readonly account?: string
}

/** What an endpoint got of one request. */
interface Arrived {
  readonly endpoint: string
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
}

class Scene {
  readonly world: WaypointWorld
  readonly arrived: Arrived[] = []
  readonly #to: string
  readonly #callers = new Map<string, Caller>()
  statuses: number[] = []

  private constructor(world: WaypointWorld, to: string) {
    this.world = world
    this.#to = to
    world.answer = ({ method = '', url = '', headers }, response, endpoint) => {
      this.arrived.push({ endpoint, method, url, headers })
      response.statusCode = this.statuses.shift() ?? 200
      response.setHeader('x-from', endpoint)
      response.setHeader('x-twice', 'endpoint')
      response.end(endpoint)
    }
  }

  static async create(t: Test, ...objects: readonly MeshObject[]): Promise<Scene> {
    const world = await WaypointWorld.create(t)
    await world.apply(subsets, ...objects)
    await (await world.waypoint(await world.token())).ready
    return new Scene(world, `${await world.vip()}:80`)
  }

  async ask({ method = 'GET', path = '/', headers = {}, host = 'orders', account = 'frontend' }: Asked): Promise<Got> {
    const caller = this.#callers.get(account) ?? (await this.world.caller(account))
    this.#callers.set(account, caller)
    const stream = await caller.connect(this.#to)
    const fields = Object.entries({ host, connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}`)
    stream.write(`${method} ${path} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`)
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    stream.destroy()
    const [head = '', ...rest] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n')
    const [line = '', ...lines] = head.split('\r\n')
    const pairs = lines.map((each) => [each.slice(0, each.indexOf(':')), each.slice(each.indexOf(':') + 2)] as const)
    return { status: Number(line.split(' ')[1]), headers: new Map(pairs), body: rest.join('\r\n\r\n') }
  }
}

const matches: readonly { readonly name: string; readonly match: Rule; readonly yes: Asked[]; readonly no: Asked[] }[] =
  [
    {
      name: 'uri exact',
      match: { uri: { exact: '/e' } },
      yes: [{ path: '/e' }, { path: '/e?q' }],
      no: [{ path: '/e/' }],
    },
    {
      name: 'uri prefix, byte by byte',
      match: { uri: { prefix: '/p' } },
      yes: [{ path: '/p' }, { path: '/px' }, { path: '/%70/x' }],
      no: [{ path: '/P' }],
    },
    {
      name: 'uri regex, the whole path',
      match: { uri: { regex: '/r[0-9]+' } },
      yes: [{ path: '/r12?a=b' }],
      no: [{ path: '/r12/' }, { path: '/x/r1' }],
    },
    {
      name: 'ignoreUriCase',
      match: { uri: { prefix: '/CaSe' }, ignoreUriCase: true },
      yes: [{ path: '/cAsE/x' }],
      no: [],
    },
    {
      name: 'headers',
      match: { headers: { 'x-exact': { exact: 'a' }, 'X-Prefix': { prefix: 'b' }, 'x-any': {} } },
      yes: [{ headers: { 'X-Exact': 'a', 'x-prefix': 'bc', 'x-any': 'z' } }],
      no: [
        { headers: { 'x-exact': 'a', 'x-prefix': 'bc' } },
        { headers: { 'x-exact': 'A', 'x-prefix': 'b', 'x-any': '1' } },
      ],
    },
    {
      name: 'withoutHeaders',
      match: { headers: { 'x-wo': { exact: '1' } }, withoutHeaders: { 'x-not': { exact: 'no' } } },
      yes: [{ headers: { 'x-wo': '1' } }, { headers: { 'x-wo': '1', 'x-not': 'yes' } }],
      no: [{ headers: { 'x-wo': '1', 'x-not': 'no' } }],
    },
    {
      name: 'queryParams',
      match: { queryParams: { q: { exact: '1' }, r: { regex: '[a-c]+' } } },
      yes: [{ path: '/?r=abc&q=1' }],
      no: [{ path: '/?q=1' }, { path: '/?q=1&r=abcd' }, { path: '/?Q=1&r=a' }],
    },
    { name: 'method', match: { method: { exact: 'PUT' } }, yes: [{ method: 'PUT' }], no: [{ method: 'POST' }] },
    {
      name: 'authority',
      match: { authority: { prefix: 'orders.shop' } },
      yes: [{ host: 'orders.shop' }, { host: 'orders.shop.svc:80' }],
      no: [{ host: 'orders' }],
    },
    { name: 'scheme', match: { scheme: { exact: 'https' } }, yes: [], no: [{}] },
    { name: 'port', match: { port: 80, uri: { exact: '/port' } }, yes: [{ path: '/port' }], no: [] },
    { name: 'another port', match: { port: 81 }, yes: [], no: [{}] },
    {
      name: 'sourceNamespace',
      match: { sourceNamespace: 'shop', uri: { exact: '/ns' } },
      yes: [{ path: '/ns' }],
      no: [],
    },
    { name: 'another sourceNamespace', match: { sourceNamespace: 'other' }, yes: [], no: [{}] },
    { name: 'gateways without the mesh', match: { gateways: ['public'] }, yes: [], no: [{}] },
    { name: 'sourceLabels that the caller lacks', match: { sourceLabels: { app: 'nobody' } }, yes: [], no: [{}] },
  ]

t.test('each kind of match', async (t) => {
  const s = await Scene.create(t)
  const object = virtualService([{ route: toV1 }])
  await s.world.apply(object)
  for (const { name, match, yes, no } of matches) {
    const turn = name.replaceAll(/[^a-z]/g, '-')
    await s.world.patch(object, {
      spec: {
        http: [
          { match: [match], route: toV2 },
          { headers: { response: { set: { turn } } }, route: toV1 },
        ],
      },
    })
    await until(
      name,
      async () => (await s.ask({ path: '/none-of-them', method: 'DELETE' })).headers.get('turn') === turn,
    )
    for (const asked of yes) t.equal((await s.ask(asked)).body, 'orders-v2', `${name}: ${JSON.stringify(asked)}`)
    for (const asked of no) t.equal((await s.ask(asked)).body, 'orders-v1', `${name}: not ${JSON.stringify(asked)}`)
  }
})

const at = (uri: string, rule: Rule): Rule => ({ match: [{ uri: { prefix: uri } }], ...rule })

t.test('what a rule does with a request', async (t) => {
  const s = await Scene.create(
    t,
    virtualService([
      at('/rewritten/', { rewrite: { uri: '/new/', authority: 'else.where' }, route: toV1 }),
      at('/regex/', {
        rewrite: { uriRegexRewrite: { match: '/regex/([a-z]+)/([0-9]+)', rewrite: '/\\2/\\1' } },
        route: toV1,
      }),
      at('/moved/', {
        redirect: { uri: '/there', authority: 'new.example', scheme: 'https', port: 8443, redirectCode: 308 },
      }),
      at('/prefix/', { redirect: { prefixRewrite: '/other/' } }),
      at('/text', { directResponse: { status: 418, body: { string: 'tea' } } }),
      at('/bytes', { directResponse: { status: 200, body: { bytes: Buffer.from('coffee').toString('base64') } } }),
      at('/headers', {
        headers: {
          request: { set: { 'x-set': 'rule', Host: 'named.example' }, add: { 'x-add': 'rule' }, remove: ['x-remove'] },
          response: { set: { 'x-twice': 'rule' }, add: { 'x-more': 'rule' }, remove: ['x-from'] },
        },
        route: [
          {
            ...toV1[0],
            headers: {
              request: { set: { 'x-set': 'destination', Host: 'less.example' } },
              response: { add: { 'x-more': 'destination' } },
            },
          },
        ],
      }),
      at('/missing', { route: [{ destination: { host: 'nowhere' } }] }),
      at('/subset-without-endpoints', { route: [{ destination: { host: 'orders', subset: 'v9' } }] }),
      at('/half', {
        route: [
          { ...toV1[0], weight: 50 },
          { destination: { host: 'nowhere' }, weight: 50 },
        ],
      }),
      at('/weightless', {
        route: [
          { ...toV1[0], weight: 0 },
          { ...toV2[0], weight: 7 },
        ],
      }),
      at('/abort-all', { fault: { abort: { httpStatus: 503, percentage: { value: 100 } } }, route: toV1 }),
      at('/abort-unset', { fault: { abort: { httpStatus: 503 } }, route: toV1 }),
      at('/retried', { retries: { attempts: 2, retryOn: '503' }, route: toV1 }),
      at('/once', { retries: { attempts: 0 }, route: toV1 }),
      at('/mirrored', { mirror: { host: 'orders', subset: 'v2' }, route: toV1 }),
      at('/cors', {
        corsPolicy: {
          allowOrigins: [{ exact: 'https://a.example' }, { regex: 'https://.*\\.b\\.example' }],
          allowMethods: ['GET', 'PUT'],
          allowHeaders: ['x-own'],
          exposeHeaders: ['x-from'],
          maxAge: '60s',
          allowCredentials: true,
        },
        route: toV1,
      }),
    ]),
  )
  const last = () => s.arrived.at(-1)!
  const counted = async (asked: Asked): Promise<readonly [Got, number]> => {
    const before = s.arrived.length
    const got = await s.ask(asked)
    return [got, s.arrived.length - before]
  }

  t.test('rewrite: the matched prefix, the authority, or by an expression; the query stays', async (t) => {
    await s.ask({ path: '/rewritten/a/b?c=d' })
    t.match(last(), { url: '/new/a/b?c=d', headers: { host: 'else.where' } })
    await s.ask({ path: '/regex/abc/123?x' })
    t.equal(last().url, '/123/abc?x')
  })

  t.test('redirects and answers of its own reach no endpoint', async (t) => {
    const [moved, none] = await counted({ path: '/moved/x?y' })
    t.same([moved.status, moved.headers.get('location'), none], [308, 'https://new.example:8443/there?y', 0])
    const [prefix] = await counted({ path: '/prefix/a?b=c', host: 'orders:80' })
    t.same([prefix.status, prefix.headers.get('location')], [301, 'http://orders/other/a?b=c'])
    const [text, also] = await counted({ path: '/text' })
    t.same([text.status, text.body, also], [418, 'tea', 0])
    t.equal((await s.ask({ path: '/bytes' })).body, 'coffee')
  })

  t.test('headers: the route goes before the destination for Host, both hold otherwise', async (t) => {
    const got = await s.ask({ path: '/headers', headers: { 'x-add': 'client', 'x-remove': '1', 'x-set': 'client' } })
    t.match(last().headers, { 'x-add': 'client,rule', host: 'named.example' })
    t.match(last().headers['x-set'], /rule|destination/)
    t.equal(last().headers['x-remove'], undefined)
    t.same([got.headers.get('x-twice'), got.headers.has('x-from')], ['rule', false])
    t.ok(got.headers.has('x-more'))
  })

  t.test('destinations that are not there: 503, also for their share; without endpoints 503', async (t) => {
    t.equal((await s.ask({ path: '/missing' })).status, 503)
    t.equal((await s.ask({ path: '/subset-without-endpoints' })).status, 503)
    const statuses = await Promise.all(Array.from({ length: 60 }, () => s.ask({ path: '/half' })))
    const failed = statuses.filter(({ status }) => status === 503).length
    t.ok(failed > 10 && failed < 50, `${failed} of 60`)
    const weighed = await Promise.all(Array.from({ length: 20 }, () => s.ask({ path: '/weightless' })))
    t.same(new Set(weighed.map(({ body }) => body)), new Set(['orders-v2']))
  })

  t.test('faults: with their percentage, and none where that is not written', async (t) => {
    const [aborted, none] = await counted({ path: '/abort-all' })
    t.same([aborted.status, none], [503, 0])
    t.equal((await s.ask({ path: '/abort-unset' })).status, 200)
  })

  t.test('retries: as often as it says, told to the endpoint', async (t) => {
    s.statuses = [503, 503, 200]
    const [got, tries] = await counted({ path: '/retried' })
    t.same([got.status, tries], [200, 3])
    t.same(
      s.arrived.slice(-3).map(({ headers }) => headers['x-envoy-attempt-count']),
      [undefined, '2', '3'],
    )
    s.statuses = [503]
    const [once, one] = await counted({ path: '/once' })
    t.same([once.status, one], [503, 1])
    s.statuses = [503, 503]
    const [post, posts] = await counted({ path: '/retried', method: 'POST', headers: { 'content-length': '0' } })
    t.same([post.status, posts], [503, 1], 'a POST that may have been done is not done again')
  })

  t.test('a mirror gets the request with a host of its own', async (t) => {
    const before = s.arrived.length
    t.equal((await s.ask({ path: '/mirrored?a', host: 'orders:80' })).body, 'orders-v1')
    await until('the copy', () => s.arrived.length === before + 2)
    const copy = s.arrived.slice(before).find(({ endpoint }) => endpoint === 'orders-v2')
    t.match(copy, { url: '/mirrored?a', headers: { host: 'orders-shadow:80' } })
  })

  t.test('CORS: a preflight of a known origin is answered here, others pass', async (t) => {
    const preflight = (origin: string): Asked => ({
      method: 'OPTIONS',
      path: '/cors',
      headers: { origin, 'access-control-request-method': 'PUT' },
    })
    const [known, none] = await counted(preflight('https://x.b.example'))
    t.equal(none, 0)
    t.same(
      ['origin', 'methods', 'headers', 'credentials'].map((name) => known.headers.get(`access-control-allow-${name}`)),
      ['https://x.b.example', 'GET, PUT', 'x-own', 'true'],
    )
    t.equal(known.headers.get('access-control-max-age'), '60')
    const [, passed] = await counted(preflight('https://evil.example'))
    t.equal(passed, 1, 'FORWARD is the default')
    const [simple] = await counted({ path: '/cors', headers: { origin: 'https://a.example' } })
    t.equal(simple.headers.get('access-control-allow-origin'), 'https://a.example')
    t.equal(simple.headers.get('access-control-expose-headers'), 'x-from')
    const [foreign] = await counted({ path: '/cors', headers: { origin: 'https://evil.example' } })
    t.notOk(foreign.headers.has('access-control-allow-origin'))
  })

  t.equal((await s.ask({ path: '/nothing' })).status, 404, 'no rule takes it, and the Service is no way out')
})

t.test('a delegate has its rules within those of the root', async (t) => {
  const s = await Scene.create(
    t,
    virtualService([at('/api', { delegate: { name: 'team' } }), { route: toV1 }]),
    virtualService([at('/api/new', { route: toV2 })], 'team', {}),
  )
  t.equal((await s.ask({ path: '/api/new/x' })).body, 'orders-v2')
  t.equal((await s.ask({ path: '/api/old' })).body, 'orders-v1', 'what the delegate leaves falls to the next rule')
  t.equal((await s.ask({ path: '/' })).body, 'orders-v1')
})

t.test('a timeout ends the request at the caller and at the endpoint', async (t) => {
  const s = await Scene.create(t, virtualService([{ timeout: '0.2s', route: toV1 }]))
  let gone = 0
  s.world.answer = (request) => void request.once('close', () => (gone += 1))
  t.equal((await s.ask({})).status, 504)
  await until('the endpoint hears of it', () => gone === 1)
})
