// What stands in an object's status, and when it is written.
import t from 'tap'
import type { ObjectStatus } from '../../../control/api/resources.ts'
import { LayerSeven } from '../../../control/publish/layer-seven.ts'
import { MeshInventory } from '../../../control/publish/mesh-inventory.ts'
import { type HostVersion, madeOfObject, programmedOf } from '../../../control/publish/programmed.ts'
import { ResolvedRefs } from '../../../control/publish/resolved-refs.ts'
import { controllerName, statusToWrite } from '../../../control/publish/status-shape.ts'
import { type ObjectOutcome, StatusWriter, type StatusWriterOptions } from '../../../control/publish/status-writer.ts'
import { nullLogger } from '../../../core/base/log.ts'
import type { Condition, MeshObject } from '../../../core/model/resource.ts'
import { policy, service } from '../../helpers/compile-objects.ts'
import { until } from '../../helpers/control-world.ts'

const accepted: Condition = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', observedGeneration: 1 }
const ignored: Condition = { type: 'Ignored.spec.type', status: 'True', reason: 'FieldIgnored', message: 'x' }
const foreign: Condition = { type: 'Healthy', status: 'False', reason: 'Probe', message: '' }
const before = '2026-01-01T00:00:00Z'
const now = '2026-06-01T00:00:00Z'

function having(object: MeshObject, ...conditions: readonly Condition[]): MeshObject {
  return { ...object, status: { conditions } }
}

t.test('what stands there already is not written again; a condition keeps the time of its last change', async (t) => {
  const held = having(policy('p', {}), { ...accepted, lastTransitionTime: before })
  t.equal(statusToWrite(held, [accepted], now), undefined)
  t.strictSame(statusToWrite(held, [{ ...accepted, observedGeneration: 2 }], now)?.conditions, [
    { ...accepted, observedGeneration: 2, lastTransitionTime: before },
  ])
  t.strictSame(statusToWrite(held, [{ ...accepted, status: 'False' }], now)?.conditions, [
    { ...accepted, status: 'False', lastTransitionTime: now },
  ])
})

t.test('what somebody else says about an object stays, what is true no more goes', async (t) => {
  const held = having(service('s', {}), foreign, { ...accepted, lastTransitionTime: before }, ignored)
  t.strictSame(statusToWrite(held, [accepted], now)?.conditions, [foreign, { ...accepted, lastTransitionTime: before }])
})

t.test('a service of which nothing is to say has no conditions', async (t) => {
  t.equal(statusToWrite(service('s', {}), [accepted], now), undefined)
  t.match(statusToWrite(service('s', {}), [accepted, ignored], now), { conditions: [accepted, ignored] })
})

t.test('what is said of one parent stands there alone; one of another controller is left out', async (t) => {
  const parentRefs = ['a', 'b', 'c'].map((name) => ({ name }))
  const route: MeshObject = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'r', namespace: 'shop' },
    spec: { parentRefs },
  }
  const programmed: Condition = { type: 'Programmed', status: 'True', reason: 'Programmed', message: '' }
  const resolved: Condition = { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: '' }
  const lost = { ...accepted, status: 'False', reason: 'Conflicted', parent: 1 } as const
  const elsewhere = { ...accepted, status: 'False', reason: 'OtherController', parent: 2 } as const
  const bare = { ...programmed, status: 'False', reason: 'NoWaypoint', parent: 0 } as const
  const parentsOf = (status: MeshObject['status']) => (status?.['parents'] ?? []) as { conditions: Condition[] }[]
  const told = (list: readonly Condition[]) =>
    parentsOf(statusToWrite(route, list, now)).map(({ conditions }) =>
      conditions.map(({ type, reason }) => `${type} ${reason}`).sort(),
    )
  t.strictSame(told([accepted, lost, elsewhere, resolved, programmed]), [
    ['Accepted Accepted', 'Programmed Programmed', 'ResolvedRefs ResolvedRefs'],
    ['Accepted Conflicted', 'Programmed Invalid', 'ResolvedRefs ResolvedRefs'],
  ])
  t.strictSame(told([accepted, elsewhere, programmed, bare])[0], ['Accepted Accepted', 'Programmed NoWaypoint'])
  t.notMatch(JSON.stringify(statusToWrite(route, [lost], now)), '"parent"')
})

t.test('a route says it for each of its parents, and leaves those of other controllers', async (t) => {
  const other = { parentRef: { name: 'x' }, controllerName: 'example.com/other', conditions: [] }
  const route: MeshObject = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'r', namespace: 'shop' },
    spec: { parentRefs: [{ name: 'a' }, { name: 'b' }] },
    status: { parents: [other, { parentRef: { name: 'gone' }, controllerName, conditions: [accepted] }] },
  }
  const written = statusToWrite(route, [accepted], now)
  t.match(written, {
    parents: [
      other,
      { parentRef: { name: 'a' }, controllerName, conditions: [accepted] },
      { parentRef: { name: 'b' }, controllerName, conditions: [accepted] },
    ],
  })
  t.equal(statusToWrite({ ...route, status: written! }, [accepted], now), undefined)
})

const host = (name: string, version: number, connected = true, refused: HostVersion['refused'] = []): HostVersion => ({
  host: name,
  view: 'agent',
  gateways: new Set(),
  version,
  connected,
  refused,
})

t.test('an object is programmed once every host has acknowledged the version in which it changed', async (t) => {
  const policy = { group: 'security.istio.io', kind: 'AuthorizationPolicy', namespace: 'shop', name: 'p' }
  const key = madeOfObject(policy)
  t.match(programmedOf(key, 5, []), { status: 'True' })
  t.match(programmedOf(key, 5, [host('h1', 5), host('h2', 9, false)]), { status: 'True' })
  t.match(programmedOf(key, 5, [host('h1', 5), host('h2', 4)]), { status: 'False', reason: 'Pending', message: /^h2 / })
  t.match(programmedOf(key, 5, [host('h1', 4), host('h2', 4, false)]), { reason: 'HostAway', message: /^h2 / })
  const refused = [{ kind: 'Authorization', key: 'shop/p', reason: 'too large' }] as const
  t.match(programmedOf(key, 5, [host('h1', 5, true, refused)]), { reason: 'Refused', message: /too large/ })
  t.match(programmedOf(madeOfObject({ ...policy, name: 'q' }), 5, [host('h1', 5, true, refused)]), { status: 'True' })
})

interface Written {
  readonly name: string
  readonly conditions: readonly Condition[]
}

function writer(change: Partial<StatusWriterOptions> = {}) {
  const written: Written[] = []
  const stored = new Map<string, MeshObject>()
  const inventory = new MeshInventory({ trustDomain: 'td', rootNamespaces: [], serviceDomain: 'svc.cluster.local' })
  const status = new StatusWriter({
    resources: {
      modifyStatus: async (_, namespace, name, change) => {
        const old = stored.get(`${namespace}/${name}`)!
        const next: ObjectStatus | undefined = change(old)
        if (next === undefined) return old
        const updated = { ...old, status: next }
        stored.set(`${namespace}/${name}`, updated)
        written.push({ name, conditions: next.conditions ?? [] })
        return updated
      },
    },
    references: new ResolvedRefs(inventory.objects),
    layerSeven: new LayerSeven({
      inventory: inventory.objects,
      entries: { instancesOf: () => [] },
      service: () => undefined,
    }),
    hosts: () => [],
    leads: () => true,
    isCompiled: (kind) => kind !== 'VirtualService',
    log: nullLogger(),
    timing: { settleMs: 1, patienceMs: 30, referencesMs: 5 },
    ...change,
  })
  const outcome = (object: MeshObject, touched = true): ObjectOutcome => {
    stored.set(`${object.metadata.namespace}/${object.metadata.name}`, object)
    inventory.objects.set(object)
    return { key: `${object.kind} ${object.metadata.name}`, object, touched, conditions: [accepted] }
  }
  const conditionOf = (name: string, type: string) =>
    stored.get(`shop/${name}`)?.status?.conditions?.find((condition) => condition.type === type)
  return { status, written, outcome, conditionOf, inventory }
}

t.test('a policy is programmed with the last acknowledgement, and says whom it waits for meanwhile', async (t) => {
  let hosts = [host('h1', 1), host('h2', 1)]
  const { status, outcome, conditionOf, written } = writer({ hosts: () => hosts })
  status.compiled(2, [outcome(policy('p', {}))])
  await until('pending', () => conditionOf('p', 'Programmed')?.reason === 'Pending')
  hosts = [host('h1', 2), host('h2', 1)]
  status.acknowledged()
  await until('waits for h2', () => conditionOf('p', 'Programmed')?.message.startsWith('h2 '))
  hosts = [host('h1', 2), host('h2', 2)]
  status.acknowledged()
  await until('programmed', () => conditionOf('p', 'Programmed')?.status === 'True')
  const writes = written.length
  status.acknowledged()
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(written.length, writes, 'nothing more is written')
  await status.close()
})

t.test('hosts that acknowledge at once cause one write', async (t) => {
  let version = 1
  const { status, outcome, conditionOf, written } = writer({ hosts: () => [host('h1', version)] })
  version = 2
  status.compiled(2, [outcome(policy('p', {}))])
  status.acknowledged()
  await until('programmed', () => conditionOf('p', 'Programmed')?.status === 'True')
  t.equal(written.length, 1)
  await status.close()
})

t.test('only the leader writes, and a new leader writes what the old one left', async (t) => {
  let leads = false
  const { status, outcome, conditionOf, written } = writer({ leads: () => leads })
  status.compiled(2, [outcome(policy('p', {}))])
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(written.length, 0)
  leads = true
  status.resume()
  await until('programmed', () => conditionOf('p', 'Programmed')?.status === 'True')
  await status.close()
})

t.test('references are told, and resolve when what they name appears', async (t) => {
  const rule: MeshObject = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'v', namespace: 'shop' },
    spec: { hosts: ['orders'], http: [{ route: [{ destination: { host: 'orders' } }] }] },
  }
  const { status, outcome, conditionOf, inventory } = writer()
  status.compiled(1, [outcome(rule)])
  await until('not resolved', () => conditionOf('v', 'ResolvedRefs')?.reason === 'BackendNotFound')
  t.match(conditionOf('v', 'Programmed'), { status: 'False', reason: 'NotEnforced' })
  const orders = service('orders', { ports: [{ port: 80 }] })
  status.compiled(2, [outcome(orders)])
  await until('resolved', () => conditionOf('v', 'ResolvedRefs')?.status === 'True')
  inventory.objects.delete(orders)
  status.compiled(3, [{ key: 'Service orders', object: undefined, touched: true }])
  await until('broken again', () => conditionOf('v', 'ResolvedRefs')?.status === 'False')
  await status.close()
})

t.test('a host that cannot take a policy, and then can, is told as events', async (t) => {
  const reasons: string[] = []
  const refused = [{ kind: 'Authorization', key: 'shop/p', reason: 'too large' }] as const
  let hosts = [host('h1', 2, true, refused)]
  const { status, outcome } = writer({ hosts: () => hosts, record: ({ reason }) => reasons.push(reason) })
  status.compiled(2, [outcome(policy('p', {}))])
  await until('the refusal', () => reasons.length === 1)
  hosts = [host('h1', 3)]
  status.acknowledged()
  await until('the end of it', () => reasons.length === 2)
  t.same(reasons, ['Refused', 'Programmed'])
  await status.close()
})
