// Rate limits through the stack: who is limited, what is answered, what only counts.
import t from 'tap'
import type { RateLimit, RateLimitRule, RateLimitTarget } from '../../../../core/model/rate-limits.ts'
import { keyOf, route, scene } from '../../../helpers/waypoint-scene.ts'

const twice: RateLimitRule = {
  name: 'twice',
  matches: [],
  key: [],
  size: { capacity: 2, perSecond: 0.1 },
  scope: 'local',
  dryRun: false,
}
const toOrders: RateLimitTarget = { kind: 'service', service: keyOf('orders') }

function limited(rules: readonly Partial<RateLimitRule>[], more: Partial<RateLimit> = {}, options = {}) {
  const found = scene(options)
  const policy: RateLimit = {
    namespace: 'shop',
    name: 'policy',
    targets: [toOrders],
    rules: rules.map((rule) => ({ ...twice, ...rule })),
    headers: true,
    grpcStatus: 'RESOURCE_EXHAUSTED',
    ...more,
  }
  found.model.limits.set(keyOf('orders'), [policy])
  found.stack.update()
  const statuses = async (asked: readonly Parameters<typeof found.ask>[0][]) => {
    const all: number[] = []
    for (const each of asked) all.push((await found.ask(each)).status)
    return all
  }
  return { ...found, statuses }
}

t.test('over the limit: 429 with Retry-After and the fields of the limit; the upstream is not asked', async (t) => {
  const { ask, upstream, told } = limited([{}])
  const first = await ask()
  t.same([first.status, first.headers.get('ratelimit')], [200, '"twice";r=1;t=10'])
  await ask()
  const { status, headers } = await ask()
  t.same([status, headers.get('retry-after'), headers.get('ratelimit')], [429, '10', '"twice";r=0;t=20'])
  t.equal(headers.get('ratelimit-policy'), '"twice";q=2;w=20')
  t.equal(upstream.tries.length, 2)
  t.match(told.at(-1), { flags: ['RL'], status: 429, reason: 'shop/policy/twice' })
})

t.test('tokens come back', async (t) => {
  const { statuses, time } = limited([{}])
  t.same(await statuses([{}, {}, {}]), [200, 200, 429])
  time.now += 10_000
  t.same(await statuses([{}, {}]), [200, 429])
})

t.test('without headers only Retry-After is told', async (t) => {
  const { ask, statuses } = limited([{}], { headers: false })
  t.notOk((await ask()).headers.has('ratelimit'))
  await statuses([{}])
  const { headers } = await ask()
  t.same([headers.has('retry-after'), headers.has('ratelimit-policy')], [true, false])
})

t.test('gRPC callers get the status of the policy', async (t) => {
  for (const [grpcStatus, code] of [
    ['RESOURCE_EXHAUSTED', '8'],
    ['UNAVAILABLE', '14'],
  ] as const) {
    const { ask, statuses, grpc } = limited([{}], { grpcStatus })
    await statuses([{}, {}])
    const { status, headers } = await ask(grpc())
    t.same([status, headers.get('grpc-status')], [200, code])
  }
})

t.test('dry run tells, and refuses nobody', async (t) => {
  const { ask, statuses, told } = limited([{ dryRun: true }])
  t.same(await statuses([{}, {}, {}]), [200, 200, 200])
  t.notOk((await ask()).headers.has('ratelimit'))
  t.same(
    told.map(({ wouldRefuse }) => wouldRefuse),
    [[], [], ['shop/policy/twice'], ['shop/policy/twice']],
  )
})

t.test('matches say which requests meet a limit, keys who shares it', async (t) => {
  const path = { kind: 'segments', value: '/api' } as const
  const { statuses } = limited([{ matches: [{ path }], key: [{ by: 'header', name: 'x-user' }] }])
  const as = (user: string) => ({ path: '/api/x', headers: { 'x-user': user } })
  t.same(await statuses([as('a'), as('a'), as('a'), as('b'), {}, {}, {}]), [200, 200, 429, 200, 200, 200, 200])
})

t.test('callers are told apart by namespace and address', async (t) => {
  for (const by of ['namespace', 'source', 'identity'] as const) {
    const { statuses, origin } = limited([{ key: [{ by }] }])
    const other = {
      ...origin,
      principal: 'spiffe://cluster.local/ns/other/sa/x',
      identity: { ...origin.identity, namespace: 'other' },
      address: { address: '10.1.1.1', port: 1 },
    }
    t.same(await statuses([{}, {}, {}, { origin: other }]), [200, 200, 429, 200], by)
  }
})

t.test('a limit of a route holds for its requests alone, one of the waypoint for all', async (t) => {
  const origin = { kind: 'HTTPRoute', namespace: 'shop', name: 'limited', rule: 'r', index: 0 } as const
  const exact = (value: string) => [{ path: { kind: 'exact', value } as const }]
  const target = { kind: 'route', route: origin, rule: 'r', services: [keyOf('orders')] } as const
  const { model, stack, statuses } = limited([{}], { targets: [target] }, { waypoint: 'shop/wp' })
  model.route(route({ origin, matches: exact('/limited') }), route({ matches: exact('/free') }))
  stack.update()
  const paths = (...all: readonly string[]) => all.map((path) => ({ path }))
  t.same(
    await statuses(paths('/limited', '/free', '/limited', '/free', '/limited', '/free')),
    [200, 200, 200, 200, 429, 200],
  )
  const everywhere = {
    ...model.limits.get(keyOf('orders'))![0]!,
    name: 'all',
    targets: [{ kind: 'waypoint', waypoint: 'shop/wp' }] as const,
  }
  model.limits.set('shop/wp', [everywhere])
  stack.update()
  t.same(await statuses(paths('/free', '/none', '/free')), [200, 404, 429])
})

t.test('a limit of another port, service or rule does not hold', async (t) => {
  const other: readonly RateLimitTarget[] = [
    { kind: 'service', service: keyOf('orders'), port: 81 },
    { kind: 'service', service: keyOf('else') },
    { kind: 'waypoint', waypoint: 'shop/other' },
    { kind: 'route', route: { kind: 'HTTPRoute', namespace: 'shop', name: 'route' }, rule: 'other', services: [] },
  ]
  const { model, stack, statuses } = limited([{}], { targets: other })
  model.route(route())
  stack.update()
  t.same(await statuses([{}, {}, {}]), [200, 200, 200])
})
