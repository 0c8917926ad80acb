import t from 'tap'
import type { ApiRequest } from '../../../control/api/request.ts'
import { type ExplainDeps, explainPath, explainRoutes } from '../../../control/routes/explain.ts'
import { MeshError } from '../../../core/base/errors.ts'
import { explain } from '../../../core/decide/explain/explain.ts'
import { viewOf } from '../../../core/decide/explain/live.ts'
import type { LiveExplanation, LiveView } from '../../../core/model/explanation.ts'
import type { Condition } from '../../../core/model/resource.ts'
import type { Authorization, Service, Workload } from '../../../core/model/types.ts'
import { authorization, meshResource, resourceOf, rule, service, snapshotOf, workload } from '../../helpers/model.ts'
import { instance, waypoint, wpKey } from '../../helpers/waypoint-model.ts'

const frontend = workload({ name: 'frontend-1', serviceAccount: 'frontend', addresses: ['10.0.0.9'] })
const orders = workload({ node: 'h2' })
const question = { source: 'shop/frontend-1', destination: 'shop/orders-1:8080' }
type Values = readonly (Workload | Service | Authorization)[]

async function call(
  ask: ExplainDeps['ask'],
  values: Values = [frontend, orders],
  more = {},
  elsewhere?: ExplainDeps['elsewhere'],
  conditions: readonly Condition[] = [],
  taken?: ExplainDeps['taken'],
): Promise<LiveExplanation> {
  const upserts = [meshResource, ...values.map(resourceOf)]
  const full = { epoch: 'e', version: 5, full: true, upserts, removes: [] }
  const deltas = { epoch: 'e', version: 5, full: () => full, since: () => undefined }
  const get = async () => ({ status: { conditions } })
  const resources = { get, list: async () => ({ items: [] }) } as unknown as ExplainDeps['resources']
  const route = explainRoutes({
    ...{ resources, deltas, ask },
    ...(elsewhere === undefined ? {} : { elsewhere }),
    ...(taken === undefined ? {} : { taken }),
  })[`GET ${explainPath}`]!
  const url = new URL(`https://x${explainPath}?${new URLSearchParams({ ...question, live: 'true', ...more })}`)
  const { signal } = new AbortController()
  return ((await route({ url, signal } as ApiRequest)) as unknown as { readonly body: LiveExplanation }).body
}

/** What a daemon says that has these. */
function daemon(version: number, ...values: Values): LiveView {
  const notAfter = Date.now() + 3_600_000
  const served = new Map([frontend, orders].map(({ uid }) => [uid, { uid, certificateNotAfterMs: notAfter }] as const))
  const view = viewOf(explain(snapshotOf(...values), question), served)
  return { ...view, model: { epoch: 'e', version } }
}

t.test('hosts that see the same agree, that of the source first', async (t) => {
  const { live } = await call(async () => daemon(5, frontend, orders))
  t.match(live, [
    { host: 'h1', asked: ['source'], behind: 0, differences: [] },
    { host: 'h2', asked: ['destination'], behind: 0, differences: [] },
  ])
})

t.test('of a waypoint in between it is told whether it is there and what it has taken', async (t) => {
  const key = 'shop/orders.shop.svc.cluster.local'
  const member = workload({ node: 'h2', services: [{ service: key, ports: { 80: 8080 } }] })
  const values = [frontend, member, service({ waypoint: wpKey }), waypoint(), instance({ node: 'wp.shop' })]
  const through = { destination: 'orders.shop:80' }
  const ask: ExplainDeps['ask'] = async (host) => {
    t.not(host, 'wp.shop', 'it answers no questions')
    throw new MeshError('FEED_CLOSED', 'away')
  }
  const reportOf = async (taken: ExplainDeps['taken']) => {
    const { live } = await call(ask, values, through, undefined, [], taken)
    return live.find(({ host }) => host === 'wp.shop')
  }
  t.match(await reportOf(() => undefined), { asked: ['waypoint'], failed: /not connected/ })
  t.match(await reportOf(() => ({ ackedVersion: 5, refusedResources: [] })), { behind: 0, differences: [] })
  t.match(await reportOf(() => ({ ackedVersion: 3, refusedResources: [{}] })), {
    behind: 2,
    differences: [/could not take 1/],
  })
})

t.test('a host that is behind says what it decides otherwise', async (t) => {
  const deny = authorization({ action: 'DENY', rules: rule({ destinationPorts: [8080] }) })
  const { verdict, live } = await call(async () => daemon(3, frontend, orders), [frontend, orders, deny])
  t.equal(verdict, 'denied')
  t.match(live[1], { behind: 2, differences: [/for the daemon it is allowed/] })
})

t.test('what is not enforced of a policy is told with it', async (t) => {
  const deny = authorization({ action: 'DENY', rules: rule({ destinationPorts: [8080] }) })
  const conditions: readonly Condition[] = [
    { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' },
    { type: 'FullyEnforced', status: 'False', reason: 'NeedsLayer7', message: 'rules[0].to[0].operation.methods' },
    { type: 'Ignored.spec.x', status: 'True', reason: 'FieldIgnored', message: 'spec.x has no effect' },
  ]
  const { paths } = await call(
    async () => daemon(5, frontend, orders, deny),
    [frontend, orders, deny],
    {},
    undefined,
    conditions,
  )
  t.strictSame(paths[0]?.authorization?.policies[0]?.notes, [
    'rules[0].to[0].operation.methods',
    'spec.x has no effect',
  ])
})

t.test('hosts that cannot be asked are reported with the reason and keep nobody else from answering', async (t) => {
  const { live } = await call(async (host) => {
    if (host === 'h1') throw new MeshError('FEED_CLOSED', 'it is away')
    return daemon(5, frontend, orders)
  })
  t.match(live, [{ failed: 'it is away', differences: [] }, { behind: 0 }])
})

t.test('a host of another replica is reported with where to ask', async (t) => {
  const { live } = await call(
    async () => daemon(5, frontend, orders),
    undefined,
    {},
    (host) => (host === 'h2' ? 'https://c2:6443' : undefined),
  )
  t.match(live, [{ behind: 0 }, { failed: /another replica: ask the one at https:\/\/c2:6443/ }])
})

t.test('at most twenty hosts are asked, however many serve', async (t) => {
  const asked: string[] = []
  const serves = [{ service: 'shop/orders.shop.svc.cluster.local', ports: { 80: 8080 } }] as never
  const many = Array.from({ length: 30 }, (_, index) =>
    workload({ name: `o-${index}`, node: `n-${index}`, addresses: [`10.1.0.${index + 1}`], services: serves }),
  )
  const { live, paths } = await call(
    async (host) => {
      asked.push(host)
      return daemon(5, frontend, orders)
    },
    [frontend, service(), ...many],
    { destination: 'orders.shop' },
  )
  t.equal(paths.length, 30)
  t.equal(live.length, 20)
  t.equal(asked[0], 'h1')
})

t.test('malformed questions are refused with what is wrong', async (t) => {
  const never: ExplainDeps['ask'] = () => Promise.reject(new Error('nobody is asked'))
  for (const [more, pattern] of [
    [{ surce: 'x' }, /no parameter "surce"/],
    [{ source: '' }, /needs the parameters/],
    [{ destination: 'x'.repeat(3000) }, /longer than/],
    [{ header: 'nothing' }, /not name: value/],
  ] as const) {
    await t.rejects(call(never, undefined, more), { message: pattern })
  }
  await t.rejects(call(never, undefined, { source: 'nobody' }), { message: /no workload "nobody"/ })
})
