import t from 'tap'
import { queryOf } from '../../../cli/commands/explain.ts'
import { explanationText } from '../../../cli/explanation-text.ts'
import { painter } from '../../../cli/render.ts'
import { UsageError } from '../../../cli/session.ts'
import { explain } from '../../../core/decide/explain/explain.ts'
import type { LiveExplanation } from '../../../core/model/explanation.ts'
import { authorization, rule, service, snapshotOf, workload } from '../../helpers/model.ts'
import { instance, waypoint, wpKey } from '../../helpers/waypoint-model.ts'

const plain = painter({ isTTY: false }, {})
const frontend = workload({ name: 'frontend-1', serviceAccount: 'frontend', addresses: ['10.0.0.9'] })
const orders = workload({ node: 'h2' })
const onlyBilling = authorization({ name: 'only-billing', rules: rule({ serviceAccounts: ['shop/billing'] }) })
const question = { source: 'shop/frontend-1', destination: 'shop/orders-1:8080' }
const denied = explain(snapshotOf(frontend, orders, onlyBilling), question)
const live = (reports: LiveExplanation['live']): string => explanationText({ ...denied, live: reports }, plain)

t.test('the verdict comes first, then the numbered steps, then the ways with their policies', async (t) => {
  const lines = explanationText(denied, plain).split('\n')
  t.match(lines[0], /^DENIED {2}shop\/frontend-1 to shop\/orders-1:8080 is denied/)
  t.match(lines[2], /^ 1\. source: shop\/frontend-1 is captured on h1$/)
  const text = lines.join('\n')
  t.match(text, /PATH\n {2}10\.0\.0\.1:8080 shop\/orders-1: denied \(POLICY_DENIED\)/)
  t.match(text, /ALLOW shop\/only-billing, for the namespace: its rule does not match/)
  t.match(text, /rule 0 does not match: the caller's service account shop\/frontend is not shop\/billing/)
  t.notMatch(text, /LIVE|STANDBY|undefined/)
})

t.test('a way through a waypoint says so', async (t) => {
  const behind = workload({ waypoint: wpKey })
  const explained = explain(snapshotOf(frontend, behind, waypoint(), instance()), question)
  const text = explanationText(explained, plain)
  t.match(text, /waypoint: shop\/wp is passed, at 10\.0\.5\.1:15008/)
  t.match(text, /10\.0\.0\.1:8080 shop\/orders-1: allowed, through waypoint shop\/wp\n/)
  const around = explain(snapshotOf(frontend, behind, waypoint({ whenUnreachable: 'bypass' })), question)
  t.match(explanationText(around, plain), /shop\/orders-1: denied \(POLICY_DENIED\)\n/)
})

t.test('colours appear on a terminal only', async (t) => {
  t.notOk(explanationText(denied, plain).includes('\x1b'))
  t.ok(explanationText(denied, painter({ isTTY: true }, {})).startsWith('\x1b[31mDENIED\x1b[39m'))
})

t.test('what the hosts say is told host by host', async (t) => {
  const at = (version: number) => ({ epoch: 'e', version })
  const asked = ['source'] as const
  t.match(live([]), /LIVE\n {2}no host has a part in it/)
  t.match(live([{ host: 'h1', asked, model: at(1), behind: 0, differences: [] }]), /h1 \(source\): agrees, version 1$/)
  t.match(live([{ host: 'h1', asked, model: at(1), behind: 3, differences: [] }]), /version 1, 3 behind/)
  t.match(live([{ host: 'h1', asked, model: at(4), behind: -2, differences: [] }]), /version 4, 2 ahead/)
  t.match(live([{ host: 'h1', asked, model: at(4), differences: [] }]), /version 4 of another history/)
  t.match(live([{ host: 'h1', asked, failed: 'it is away', differences: [] }]), /not confirmed: it is away/)
  t.match(
    live([{ host: 'h1', asked: ['source', 'destination'], model: at(1), behind: 0, differences: ['x: no such way'] }]),
    /h1 \(source and destination\): differs, version 1\n {6}x: no such way/,
  )
})

t.test('many ways are cut, with a hint', async (t) => {
  const [path] = denied.paths
  const paths = Array.from({ length: 25 }, () => ({ ...path!, share: 0.0004 }))
  const text = explanationText({ ...denied, paths }, plain)
  t.match(text, /PATHS \(25\)/)
  t.match(text, /and 5 more: see them with -o json/)
  t.match(text, / <0\.1% /)
})

t.test(
  'four endpoints in two families are one step each and one table; the one that differs stands alone',
  async (t) => {
    const dual = { ...frontend, addresses: ['10.0.0.9', 'fd00::9'] }
    const behind = [{ service: 'shop/orders.shop.svc.cluster.local', ports: { 80: 8080 } }]
    const members = [1, 2, 3, 4].map((n) =>
      workload({ name: `orders-${n}`, node: 'h2', addresses: [`10.0.1.${n}`, `fd00::1:${n}`], services: behind }),
    )
    const asked = { source: 'shop/frontend-1', destination: 'orders.shop:80' }
    const textOf = (...endpoints: typeof members): string =>
      explanationText(explain(snapshotOf(dual, service(), ...endpoints), asked), plain)
    const text = textOf(...members)
    t.match(text, /transport: HBONE tunnel to one of 8 addresses\n/)
    t.match(text, /endpoints: 4 of 4 serve\n {6}orders-1, orders-2, orders-3, orders-4\n/)
    t.equal(text.match(/no policy holds/g)?.length, 3, 'in the summary, the step, the table')
    t.match(text, /PATHS \(8\)\n {2}allowed, endpoints of shop\/orders\.shop\.svc\.cluster\.local\n/)
    t.match(text, /^ {6}DIALLED +ENDS AT +WORKLOAD +SHARE +CALLER SEEN$/m)
    t.match(text, /^ {6}\[2001:2::1\]:80 +\[fd00::1:4\]:8080 +shop\/orders-4 +25% +fd00::9$/m)
    t.ok(text.split('\n').length < 40, text)

    const odd = workload({ ...members[0], addresses: ['10.0.1.1'], protocol: 'TCP' })
    const alone = textOf(odd, ...members.slice(1))
    t.match(alone, /transport: plaintext \(10\.0\.1\.1:8080\)/)
    t.equal(alone.match(/^ {6}DIALLED/gm)?.length, 2)
    t.match(
      alone,
      /so no policy is asked\n {6}DIALLED.*\n {6}240\.240\.0\.1:80 +10\.0\.1\.1:8080 +shop\/orders-1 +25% +-\n/,
    )
  },
)

t.test('the endpoints of a virtual IP are no step for who cannot get as far', async (t) => {
  const explanation = explain(snapshotOf(orders, service()), { source: '10.9.9.9', destination: 'orders.shop:80' })
  t.equal(explanation.verdict, 'unreachable')
  t.notOk(explanation.steps.some(({ what }) => what === 'endpoints'))
})

t.test('the question becomes parameters; a malformed header is a wrong command line', async (t) => {
  const base = { source: 'a/b', destination: 'c:80', live: false }
  t.equal(queryOf(base), 'source=a%2Fb&destination=c%3A80')
  const more = { namespace: 'n', method: 'GET', path: '/x?y=1&z', header: ['A: b', 'C:'], live: true }
  t.same([...new URLSearchParams(queryOf({ ...base, ...more }))].slice(2), [
    ['namespace', 'n'],
    ['method', 'GET'],
    ['path', '/x?y=1&z'],
    ['header', 'A: b'],
    ['header', 'C:'],
    ['live', 'true'],
  ])
  t.throws(() => queryOf({ ...base, header: ['nothing'] }), UsageError)
  t.throws(() => queryOf({ ...base, source: '' }), UsageError)
})
