import t from 'tap'
import { conditionsToWrite } from '../../../control/publish/conditions.ts'
import type { Condition, MeshObject } from '../../../core/model/resource.ts'
import { policy, service } from '../../helpers/compile-objects.ts'

const accepted: Condition = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', observedGeneration: 1 }
const ignored: Condition = { type: 'Ignored.spec.type', status: 'True', reason: 'FieldIgnored', message: 'x' }
const foreign: Condition = { type: 'Healthy', status: 'False', reason: 'Probe', message: '' }

function having(object: MeshObject, ...conditions: readonly Condition[]): MeshObject {
  return { ...object, status: { conditions } }
}

t.test('conditions that are there already are not written again, whenever they changed last', async (t) => {
  const held = having(policy('p', {}), { ...accepted, lastTransitionTime: '2026-01-01T00:00:00Z' })
  t.equal(conditionsToWrite(held, [accepted]), undefined)
  t.strictSame(conditionsToWrite(held, [{ ...accepted, observedGeneration: 2 }]), [
    { ...accepted, observedGeneration: 2 },
  ])
})

t.test('what somebody else says about an object stays, what is true no more goes', async (t) => {
  const held = having(service('s', {}), foreign, accepted, ignored)
  t.strictSame(conditionsToWrite(held, [accepted]), [foreign, accepted])
  t.strictSame(conditionsToWrite(having(policy('p', {}), foreign), [accepted]), [foreign, accepted])
})

t.test('a service or workload of which nothing is to say has no conditions, a policy has Accepted', async (t) => {
  t.equal(conditionsToWrite(service('s', {}), [accepted]), undefined)
  t.strictSame(conditionsToWrite(service('s', {}), [accepted, ignored]), [accepted, ignored])
  t.strictSame(conditionsToWrite(policy('p', {}), [accepted]), [accepted])
})
