import t from 'tap'
import { MeshInventory } from '../../../control/publish/mesh-inventory.ts'
import type { StoredObject } from '../../../control/store/store.ts'
import { formatObjectKey, type MeshObject } from '../../../core/model/resource.ts'
import { objectKeyOf } from '../../../core/model/validate-set.ts'
import { entry, policy, service } from '../../helpers/compile-objects.ts'

const settings = {
  trustDomain: 'cluster.local',
  rootNamespaces: ['culvert-system'],
  serviceDomain: 'svc.cluster.local',
}
const nameOf = (object: MeshObject) => formatObjectKey(objectKeyOf(object))
const stored = (object: MeshObject): StoredObject => ({ key: objectKeyOf(object), object, revision: 1 })

const namespace: MeshObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }
const orders = service('orders', { selector: { app: 'orders' }, ports: [{ port: 80 }] })
const one = entry('one', { address: '10.0.0.1', labels: { app: 'orders' } })
const rules = policy('p', { selector: { matchLabels: { app: 'ordres' } }, rules: [{}] })

function filled(): MeshInventory {
  const inventory = new MeshInventory(settings)
  inventory.reset(new Map([namespace, orders, one].map((object) => [nameOf(object), stored(object)])))
  return inventory
}

t.test('who writes a selector that matches nothing is told, with what to do', async (t) => {
  const inventory = filled()
  t.match(inventory.advise(rules), [/^spec\.selector\.matchLabels.*; ./])
  const right = policy('p', { selector: { matchLabels: { app: 'orders' } }, rules: [{}] })
  t.strictSame(inventory.advise(right), [])
  const other = entry('two', { address: '10.0.0.2', labels: { app: 'ordres' } })
  inventory.changed(nameOf(other), { type: 'ADDED', stored: stored(other) })
  t.strictSame(inventory.advise(rules), [], 'now there is such a workload')
  inventory.changed(nameOf(other), { type: 'DELETED', stored: stored(other) })
  t.equal(inventory.advise(rules).length, 1)
})

t.test('asking changes nothing', async (t) => {
  const inventory = filled()
  inventory.advise(rules)
  t.equal(inventory.objects.find('AuthorizationPolicy', 'security.istio.io', 'shop', 'p'), undefined)
  inventory.advise(service('orders', { ports: [{ port: 81 }] }))
  t.equal(inventory.objects.find('Service', '', 'shop', 'orders'), orders)
})

t.test('after a list nothing is left of what is not in it', async (t) => {
  const inventory = filled()
  inventory.reset(new Map([[nameOf(namespace), stored(namespace)]]))
  t.equal(inventory.objects.find('Service', '', 'shop', 'orders'), undefined)
  t.equal(inventory.objects.host('orders.shop.svc.cluster.local'), undefined)
})
