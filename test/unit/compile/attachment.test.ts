import t from 'tap'
import { compile } from '../../../control/compile/compile.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { entry, peerAuthentication, policy, settings } from '../../helpers/compile-objects.ts'

const captured = { 'culvert.dev/workload-uid': 'h1/shop/in/1', 'culvert.dev/redirection': 'enabled' }
const workloads = [
  entry('in', { address: '10.0.0.1', labels: { app: 'in' } }, { annotations: captured }),
  entry('out', { address: '10.0.0.2', labels: { app: 'out' } }),
  entry('far', { address: '10.0.0.3' }, { namespace: 'other' }),
]
const everyone = { action: 'DENY', rules: [{}] }

/** What is said of the workloads of the last object; undefined where nothing is. */
function told(object: MeshObject, objects = workloads): string | undefined {
  const { conditions } = compile([...objects, object], settings)
  const own = [...conditions.values()].at(-1) ?? []
  return own.find(({ type, status }) => type === 'WorkloadsCaptured' && status === 'False')?.message
}

t.test('a policy says for which of its workloads nobody enforces it', async (t) => {
  const selector = (app: string) => ({ ...everyone, selector: { matchLabels: { app } } })
  t.match(told(policy('p', selector('out'))), /in front of shop\/out: not enforced there/)
  t.equal(told(policy('p', selector('in'))), undefined)
  t.match(told(policy('p', everyone)), /in front of shop\/out:/)
  t.match(told(policy('p', everyone, { namespace: 'culvert-system' })), /in front of other\/far, shop\/out:/)
})

t.test('a dry run and PERMISSIVE have nothing to enforce, STRICT has', async (t) => {
  t.equal(told(policy('p', everyone, { annotations: { 'istio.io/dry-run': 'true' } })), undefined)
  t.equal(told(peerAuthentication('p', { mtls: { mode: 'PERMISSIVE' } })), undefined)
  t.match(told(peerAuthentication('p', { mtls: { mode: 'STRICT' } })), /in front of shop\/out:/)
  const port = { selector: { matchLabels: { app: 'out' } }, portLevelMtls: { '80': { mode: 'STRICT' } } }
  t.match(told(peerAuthentication('p', port)), /in front of shop\/out:/)
})

t.test('of many workloads some are named', async (t) => {
  const many = Array.from({ length: 9 }, (_, index) => entry(`w${index}`, { address: `10.0.1.${index + 1}` }))
  t.match(told(policy('p', everyone), many), /in front of shop\/w0, shop\/w1, shop\/w2 and 6 more:/)
})
