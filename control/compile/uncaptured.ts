// What is said of a security rule that holds for workloads in front of which no proxy stands: nobody enforces it there. A dry run
// and a PERMISSIVE mode have nothing to enforce.
import { authorizationPolicyKind, peerAuthenticationKind } from '../../core/model/kinds/istio.ts'
import type { Workload } from '../../core/model/types.ts'
import { enforcedScope } from './authorization-policy.ts'
import { nameOf } from './conditions.ts'
import type { Rule, Scope } from './rule.ts'
import { type Offer, topic } from './topics.ts'

/** Workloads that are not captured: all, by namespace, by the key of an Authorization that names them, by who makes them STRICT. */
const inMesh = topic<true>('uncaptured')
const inNamespace = topic<true>('uncaptured-namespace')
const underPolicy = topic<true>('uncaptured-authorization')
const madeStrict = topic<true>('uncaptured-strict')

/** @param workload that is not captured */
export function offerUncaptured({ namespace, authorizations, peerAuthentication }: Workload, scope: Scope): void {
  scope.offer(inMesh(), true)
  scope.offer(inNamespace(namespace), true)
  for (const key of authorizations) scope.offer(underPolicy(key), true)
  const { mode, ports, source } = peerAuthentication
  const strict = mode === 'STRICT' || Object.values(ports).includes('STRICT')
  if (strict && source !== undefined) scope.offer(madeStrict(source), true)
}

export const uncapturedByPolicy: Rule = {
  kind: authorizationPolicyKind,
  run(object, scope) {
    const holds = enforcedScope(object, scope.settings)
    if (holds === 'mesh') tell(scope.read(inMesh()), scope)
    else if (holds === 'namespace') tell(scope.read(inNamespace(object.metadata.namespace ?? '')), scope)
    else if (holds === 'workload') tell(scope.read(underPolicy(nameOf(object))), scope)
  },
}

export const uncapturedByMode: Rule = {
  kind: peerAuthenticationKind,
  run(object, scope) {
    tell(scope.read(madeStrict(nameOf(object))), scope)
  },
}

const namesShown = 3

function tell(open: readonly Offer[], scope: Scope): void {
  if (open.length === 0) return
  const names = open.slice(0, namesShown).map(({ name }) => name)
  const more = open.length > namesShown ? ` and ${open.length - namesShown} more` : ''
  const message = `no proxy stands in front of ${names.join(', ')}${more}: not enforced there until they are enrolled and captured`
  scope.tell({ type: 'WorkloadsCaptured', status: 'False', reason: 'NotCaptured', message })
}
