import t from 'tap'
import {
  applicationOf,
  canonicalName,
  canonicalRevision,
  versionOf,
  workloadIdentity,
} from '../../../core/model/canonical.ts'
import { canonicalJson, digestOf } from '../../../core/model/digest.ts'
import { workload } from '../../helpers/model.ts'

const table: readonly [Record<string, string>, string, string, string | undefined, string | undefined][] = [
  [{}, 'orders-1', 'latest', undefined, undefined],
  [{ app: 'a', version: 'v1' }, 'a', 'v1', 'a', 'v1'],
  [{ 'app.kubernetes.io/name': 'k', 'app.kubernetes.io/version': 'v2' }, 'k', 'v2', 'k', 'v2'],
  [{ app: 'a', 'app.kubernetes.io/name': 'k' }, 'k', 'latest', 'a', undefined],
  [{ app: 'a', 'service.istio.io/canonical-name': 'c' }, 'c', 'latest', 'a', undefined],
  [{ version: 'v1', 'service.istio.io/canonical-revision': 'r' }, 'orders-1', 'r', undefined, 'v1'],
  [{ app: '', version: '' }, 'orders-1', 'latest', undefined, undefined],
]
for (const [labels, name, revision, app, version] of table) {
  t.test(`labels ${JSON.stringify(labels)} mean ${name} ${revision}`, async (t) => {
    const named = workload({ labels })
    t.equal(canonicalName(named), name)
    t.equal(canonicalRevision(named), revision)
    t.equal(applicationOf(named), app)
    t.equal(versionOf(named), version)
  })
}

t.test('a workload presents the identity of its service account', async (t) => {
  t.equal(workloadIdentity(workload()), 'spiffe://cluster.local/ns/shop/sa/orders')
})

t.test('canonical JSON has one spelling per value', async (t) => {
  t.equal(canonicalJson({ b: [1, { d: 1, c: null }], a: 'x"', e: undefined }), '{"a":"x\\"","b":[1,{"c":null,"d":1}]}')
  t.equal(digestOf({ a: 1, b: 2 }), digestOf({ b: 2, a: 1 }))
  t.not(digestOf([1, 2]), digestOf([2, 1]))
  t.match(digestOf({}), /^[\w-]{12}$/)
})
