import t from 'tap'
import { explain } from '../../../../core/decide/explain/explain.ts'
import type { ExplainQuestion } from '../../../../core/model/explanation.ts'
import type { Authorization, Service, Workload } from '../../../../core/model/types.ts'
import { authorization, rule, service, snapshotOf, workload } from '../../../helpers/model.ts'

const frontend = workload({ name: 'frontend-1', serviceAccount: 'frontend', addresses: ['10.0.0.9'] })
const orders = workload({ node: 'h2' })
const outside = { enrolled: false, protocol: 'TCP' } as const
const key = 'shop/orders.shop.svc.cluster.local'
const serves = { services: [{ service: key, ports: { 80: 8080 } }] } as unknown as Partial<Workload>

type Value = Workload | Service | Authorization

function ask(values: readonly Value[], destination = 'shop/orders-1:8080', more: Partial<ExplainQuestion> = {}) {
  return explain(snapshotOf(...values), { source: 'shop/frontend-1', destination, ...more })
}

const step = (explained: ReturnType<typeof ask>, what: string) => explained.steps.find((each) => each.what === what)

t.test('both ends captured and no policy: allowed through the tunnel', async (t) => {
  const explained = ask([frontend, orders])
  t.equal(explained.verdict, 'allowed')
  t.match(explained.paths, [{ transport: 'tunnel', peer: '10.0.0.1:15008', callerSeen: '10.0.0.9', share: 1 }])
  t.equal(explained.source.identity, 'spiffe://cluster.local/ns/shop/sa/frontend')
})

t.test('a DENY policy denies with its rule, and the ALLOW policy says that it came too late', async (t) => {
  const deny = authorization({ name: 'no', action: 'DENY', rules: rule({ destinationPorts: [8080] }) })
  const allow = authorization({ name: 'yes', rules: rule({ namespaces: [{ kind: 'exact', value: 'shop' }] }) })
  const explained = ask([frontend, orders, deny, allow])
  t.equal(explained.verdict, 'denied')
  const found = explained.paths[0]?.authorization
  t.match(found, { allowed: false, policy: 'shop/no rule 0' })
  t.match(found?.policies, [
    { policy: 'shop/no', outcome: 'decided' },
    { policy: 'shop/yes', outcome: 'matched', because: /shop\/no rule 0 decided before/ },
  ])
})

t.test('an ALLOW policy without a matching rule denies, and says why each rule does not match', async (t) => {
  const explained = ask([frontend, orders, authorization({ rules: rule({ serviceAccounts: ['shop/billing'] }) })])
  t.equal(explained.verdict, 'denied')
  const rules = explained.paths[0]?.authorization?.policies[0]?.rules
  t.match(rules, [{ rule: 0, matches: false, because: /shop\/frontend is not shop\/billing/ }])
})

t.test('a dry run changes nothing but is told', async (t) => {
  const dry = authorization({ action: 'DENY', dryRun: true, rules: rule({ destinationPorts: [8080] }) })
  const explained = ask([frontend, orders, dry])
  t.equal(explained.verdict, 'allowed')
  t.ok(step(explained, 'dry run'))
})

t.test('STRICT denies a source that is not captured', async (t) => {
  const strict = workload({ node: 'h2', peerAuthentication: { mode: 'STRICT', ports: {} } })
  const explained = ask([workload({ ...frontend, ...outside }), strict])
  t.equal(explained.verdict, 'denied')
  t.match(step(explained, 'peer authentication'), { outcome: 'STRICT', passed: false })
})

t.test('neither end captured: the network alone decides; a captured source passes in plaintext', async (t) => {
  const away = workload({ node: 'h2', ...outside })
  t.equal(ask([workload({ ...frontend, ...outside }), away]).verdict, 'not-captured')
  t.match(ask([frontend, away]), { verdict: 'allowed', paths: [{ transport: 'plaintext' }] })
})

t.test('pending and leaving workloads are what they are', async (t) => {
  t.equal(ask([workload({ ...frontend, protocol: 'TCP' }), orders]).source.capture, 'pending')
  t.equal(ask([workload({ ...frontend, enrolled: false }), orders]).source.capture, 'leaving')
})

t.test('a service leads to its endpoints; the unhealthy one stands by', async (t) => {
  const well = workload({ node: 'h2', ...serves })
  const ill = workload({ name: 'orders-2', addresses: ['10.0.0.2'], health: 'unhealthy', ...serves })
  const explained = ask([frontend, service(), well, ill], 'orders.shop')
  t.match(explained.paths, [{ dial: '240.240.0.1:80', target: '10.0.0.1:8080', share: 1 }])
  t.match(explained.standby, [{ workload: { name: 'orders-2' } }])
  t.match(step(explained, 'endpoints'), { outcome: '1 of 2 serve', passed: true })
})

t.test('a service without endpoints, and a headless one, lead nowhere', async (t) => {
  t.match(ask([frontend, service()], 'orders.shop'), { verdict: 'unreachable', paths: [{ code: 'NO_ENDPOINT' }] })
  const headless = service({ headless: true, vips: [] })
  t.match(ask([frontend, headless], 'orders.shop'), { verdict: 'unreachable', destination: { addresses: [] } })
  const explained = ask([frontend, headless, workload({ node: 'h2', ...serves })], 'orders.shop:8080')
  t.match(explained, { verdict: 'allowed', paths: [{ target: '10.0.0.1:8080' }] })
})

t.test('IPv6 is explained as IPv6', async (t) => {
  const six = [workload({ ...frontend, addresses: ['2001:db8::9'] }), workload({ addresses: ['2001:db8::1'] })]
  t.match(ask(six, '[2001:db8::1]:8080'), { verdict: 'allowed', paths: [{ peer: '[2001:db8::1]:15008' }] })
})

t.test('names that nobody has are answered with names that are near', async (t) => {
  const values = [frontend, orders, service()]
  t.throws(() => ask(values, 'order.shop'), { code: 'RESOURCE_NOT_FOUND', message: /did you mean "orders\.shop"/ })
  t.throws(() => ask(values, undefined, { source: 'shop/fronted-1' }), { code: 'RESOURCE_NOT_FOUND', message: /front/ })
  t.match(ask(values, 'example.com:443'), { destination: { kind: 'name' }, verdict: 'allowed' })
})

t.test('what is ambiguous or lacks a port is asked back', async (t) => {
  const twin = workload({ namespace: 'other', name: 'orders-1', addresses: ['10.0.0.3'] })
  const invalid = (pattern: RegExp) => ({ code: 'RESOURCE_INVALID', message: pattern })
  t.throws(() => ask([orders, twin], '10.0.0.9:80', { source: 'orders-1' }), invalid(/ambiguous/))
  t.throws(() => ask([frontend, orders], 'shop/orders-1'), invalid(/to which port/))
  t.throws(() => ask([frontend, orders], '10.7.7.7'), invalid(/10\.7\.7\.7:8080, for example/))
  t.throws(() => ask([frontend, orders], 'shop/orders-1:0'), invalid(/0 is not a port/))
})

t.test('a request is not evaluated without a waypoint, and that is said', async (t) => {
  const explained = ask([frontend, orders], undefined, { method: 'GET', path: '/x', headers: { a: 'b' } })
  t.match(step(explained, 'layer 7'), { outcome: 'GET /x a: not evaluated', because: /fails closed/ })
  t.equal(step(ask([frontend, orders]), 'layer 7'), undefined)
})
