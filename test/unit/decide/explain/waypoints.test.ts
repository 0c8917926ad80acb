import t from 'tap'
import { explain } from '../../../../core/decide/explain/explain.ts'
import { differences, viewOf } from '../../../../core/decide/explain/live.ts'
import type { ExplainQuestion } from '../../../../core/model/explanation.ts'
import type { Authorization, Service, Workload } from '../../../../core/model/types.ts'
import { authorization, rule, service, snapshotOf, workload } from '../../../helpers/model.ts'
import { instance, waypoint, wpKey } from '../../../helpers/waypoint-model.ts'

const key = 'shop/orders.shop.svc.cluster.local'
const frontend = workload({ name: 'frontend-1', serviceAccount: 'frontend', addresses: ['10.0.0.9'] })
const orders = workload({ node: 'h2', services: [{ service: key, ports: { 80: 8080 } }] })
const behind = service({ waypoint: wpKey })
const outside = { enrolled: false, protocol: 'TCP' } as const

type Value = Workload | Service | Authorization

function ask(values: readonly Value[], destination = 'orders.shop:80', more: Partial<ExplainQuestion> = {}) {
  return explain(snapshotOf(...values), { source: 'shop/frontend-1', destination, ...more })
}
const step = (explained: ReturnType<typeof ask>, what: string) => explained.steps.find((each) => each.what === what)

t.test('a service behind a waypoint: who is passed, because of what, and who proves what to whom', async (t) => {
  const second = instance({ name: 'wp-2', addresses: ['10.0.5.2'], weight: 3 })
  const explained = ask([frontend, orders, behind, waypoint(), instance(), second], '240.240.0.1:80')
  t.equal(explained.verdict, 'allowed')
  t.match(explained.paths, [
    {
      dial: '240.240.0.1:80',
      target: '10.0.0.1:8080',
      share: 1,
      transport: 'tunnel',
      peer: '10.0.0.1:15008',
      callerSeen: '10.0.0.9',
      workload: { name: 'orders-1' },
      identities: {
        source: 'spiffe://cluster.local/ns/shop/sa/wp',
        destination: ['spiffe://cluster.local/ns/shop/sa/orders'],
      },
      waypoint: {
        waypoint: 'shop/wp',
        outcome: 'passed',
        because: /service shop\/orders or its namespace names it/,
        instances: [
          { workload: { name: 'wp-1' }, peer: '10.0.5.1:15008', share: 0.25 },
          { workload: { name: 'wp-2' }, peer: '10.0.5.2:15008', share: 0.75 },
        ],
        identities: {
          source: 'spiffe://cluster.local/ns/shop/sa/frontend',
          destination: ['spiffe://cluster.local/ns/shop/sa/wp'],
        },
      },
    },
  ])
  t.equal(step(explained, 'waypoint')?.outcome, 'shop/wp is passed, at 10.0.5.1:15008 or 10.0.5.2:15008')
  t.match(step(explained, 'mutual TLS to the waypoint'), { because: /sa\/frontend$/, outcome: /sa\/wp$/ })
  t.match(step(explained, 'mutual TLS'), { because: /sa\/wp$/, outcome: /sa\/orders$/ })
  t.equal(step(explained, 'transport')?.outcome, 'from the waypoint: HBONE tunnel to 10.0.0.1:15008')
})

t.test('behind a waypoint policies are still about the caller', async (t) => {
  const principals = [{ kind: 'exact' as const, value: 'cluster.local/ns/shop/sa/frontend' }]
  const allow = authorization({ rules: rule({ principals, sourceIps: ['10.0.0.9/32'] }) })
  const allowed = ask([frontend, orders, behind, waypoint(), instance(), allow])
  t.equal(allowed.verdict, 'allowed')
  t.equal(allowed.paths[0]?.authorization?.policy, 'shop/policy rule 0')
  const deny = authorization({ action: 'DENY', rules: rule({ principals }) })
  t.equal(ask([frontend, orders, behind, waypoint(), instance(), deny]).verdict, 'denied')
})

t.test('endpoints behind a waypoint each have their way', async (t) => {
  const second = workload({ ...orders, uid: 'x', name: 'orders-2', addresses: ['10.0.0.2'] })
  const sick = workload({ ...orders, uid: 'y', name: 'orders-3', addresses: ['10.0.0.3'], health: 'unhealthy' })
  const explained = ask([frontend, orders, second, sick, behind, waypoint(), instance()], '240.240.0.1:80')
  t.same(
    explained.paths.map(({ target, share }) => [target, share]),
    [
      ['10.0.0.1:8080', 0.5],
      ['10.0.0.2:8080', 0.5],
    ],
  )
  t.match(step(explained, 'endpoints'), { outcome: '2 of 3 serve' })
  const none = ask([frontend, sick, behind, waypoint(), instance()], '240.240.0.1:80')
  t.match(none.paths, [{ verdict: 'unreachable', code: 'NO_ENDPOINT', waypoint: { outcome: 'passed' } }])
  t.match(none.summary, /waypoint shop\/wp finds no healthy endpoint/)
})

t.test('an endpoint outside the mesh is reached in plaintext, by the waypoint', async (t) => {
  const explained = ask([frontend, { ...orders, ...outside }, behind, waypoint(), instance()], '240.240.0.1:80')
  t.match(explained.paths, [{ verdict: 'allowed', transport: 'plaintext', waypoint: { outcome: 'passed' } }])
  t.equal(step(explained, 'transport')?.outcome, 'from the waypoint: plaintext')
})

t.test('the address of a workload behind a waypoint leads through it', async (t) => {
  const explained = ask([frontend, orders, behind, waypoint(), instance()], 'shop/orders-1:8080')
  t.match(explained.paths, [{ target: '10.0.0.1:8080', waypoint: { waypoint: 'shop/wp', outcome: 'passed' } }])
  const own = ask([frontend, workload({ waypoint: wpKey }), waypoint(), instance()], 'shop/orders-1:1')
  t.match(own.paths, [{ waypoint: { outcome: 'passed', because: /the destination or its namespace names it/ } }])
})

t.test('a waypoint that cannot be reached is told, with what to look at', async (t) => {
  for (const values of [[waypoint()], []]) {
    const explained = ask([frontend, orders, behind, ...values])
    t.equal(explained.verdict, 'unreachable')
    t.match(explained.paths[0], { code: 'NO_ENDPOINT', transport: 'none', waypoint: { outcome: 'unreachable' } })
    t.match(step(explained, 'waypoint'), { outcome: /cannot be reached: the connection is refused/, passed: false })
    t.match(step(explained, 'refused')?.because, /culvert(-| )waypoint/)
    t.equal(step(explained, 'endpoints'), undefined, 'none is chosen')
  }
  const second = workload({ name: 'orders-2', addresses: ['10.0.0.2'], services: orders.services })
  const several = ask([frontend, orders, second, behind, waypoint()], '240.240.0.1:80')
  t.match(several.paths, [{ share: 1 }], 'one way, whoever would have been chosen')
  t.equal(several.paths.length, 1)
  t.same(
    differences(
      several,
      viewOf(several, new Map([[frontend.uid, { uid: frontend.uid, certificateNotAfterMs: 1 }]])),
      'h1',
      ['source'],
    ),
    [],
  )
  const open = ask([frontend, orders, behind, waypoint({ whenUnreachable: 'bypass', bypass: 'allowed' })])
  t.equal(open.verdict, 'allowed')
  t.match(step(open, 'waypoint'), {
    outcome: 'shop/wp is gone around',
    because: /its Gateway has connections go around/,
  })
  const refused = ask([frontend, orders, behind, waypoint({ whenUnreachable: 'bypass' })])
  t.equal(refused.verdict, 'denied', 'the destination has the last word')
})

t.test('a source that is not captured goes around it, and what the destination says of that', async (t) => {
  const source = { ...frontend, ...outside }
  const denied = ask([source, orders, behind, waypoint(), instance()], 'shop/orders-1:8080')
  t.equal(denied.verdict, 'denied')
  t.match(denied.summary, /denied by waypoint shop\/wp/)
  t.match(step(denied, 'waypoint'), { outcome: 'shop/wp is gone around', because: /the source is not captured/ })
  const allowed = ask([source, orders, behind, waypoint({ bypass: 'allowed' }), instance()], 'shop/orders-1:8080')
  t.equal(allowed.verdict, 'allowed')
})

t.test('a waypoint as the source goes straight on', async (t) => {
  const wp = instance({ enrolled: false })
  const explained = ask([frontend, orders, behind, waypoint(), wp], 'orders.shop:80', { source: 'shop/wp-1' })
  t.equal(explained.verdict, 'allowed')
  t.equal(explained.source.capture, 'waypoint')
  t.equal(step(explained, 'source')?.outcome, 'shop/wp-1 is a waypoint on h1')
  t.match(step(explained, 'waypoint'), { because: /the source is this waypoint/ })
})

t.test('requests are the waypoint’s to read', async (t) => {
  const request = { method: 'GET', path: '/' }
  const explained = ask([frontend, orders, behind, waypoint(), instance()], 'orders.shop:80', request)
  t.match(step(explained, 'route'), { outcome: 'none', because: /no route is attached to shop\/orders port 80/ })
  t.equal(
    step(ask([frontend, orders, service()], 'orders.shop:80', request), 'layer 7')?.outcome,
    'GET /: not evaluated',
  )
})

t.test('a daemon that would go through no waypoint, or another one, differs', async (t) => {
  const explained = ask([frontend, orders, behind, waypoint(), instance()], '240.240.0.1:80')
  const same = viewOf(explained, new Map([[frontend.uid, { uid: frontend.uid, certificateNotAfterMs: 1 }]]))
  t.same(differences(explained, same, 'h1', ['source']), [])
  const older = ask([frontend, orders, service(), waypoint(), instance()], '240.240.0.1:80')
  const view = viewOf(older, new Map([[frontend.uid, { uid: frontend.uid, certificateNotAfterMs: 1 }]]))
  t.same(differences(explained, view, 'h1', ['source']), [
    '10.0.0.1:8080: the daemon goes through no waypoint, explained was shop/wp',
  ])
})
