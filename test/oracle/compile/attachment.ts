// Which policies hold for which workloads, and what is said of a policy that holds where no proxy can enforce it.
import type { MeshObject } from '../../../core/model/resource.ts'
import type { Workload } from '../../../core/model/types.ts'
import type { CompiledPolicy } from './authorization-policy.ts'
import { type Finding, type Findings, nameOf } from './conditions.ts'
import { selects } from './order.ts'
import type { CompiledService } from './service.ts'

/** The workloads with the keys of the policies of scope `workload` that select them. */
export function attachPolicies(
  workloads: readonly Workload[],
  policies: readonly CompiledPolicy[],
  services: readonly CompiledService[],
): readonly Workload[] {
  const serviceNames = new Map(services.map(({ key, service }) => [key, `${service.namespace}/${service.name}`]))
  const selecting = policies.filter((policy) => policy.selection !== undefined)
  return workloads.map((workload) => {
    const authorizations = selecting.filter((policy) => holdsFor(policy, workload, serviceNames)).map(({ key }) => key)
    return { ...workload, authorizations: authorizations.sort() }
  })
}

function holdsFor(
  { selection }: CompiledPolicy,
  workload: Workload,
  serviceNames: ReadonlyMap<string, string>,
): boolean {
  if (selection === undefined) return false
  if (selection.namespace !== undefined && selection.namespace !== workload.namespace) return false
  if (selection.by === 'labels') return selects(selection.labels, workload.labels)
  return workload.services.some(({ service }) => selection.services.has(serviceNames.get(service) ?? ''))
}

/**
 * Tells the security rules that hold for workloads which are not captured: nobody enforces them there. A dry run and a
 * PERMISSIVE mode have nothing to enforce.
 *
 * @param workloads with their policies attached
 */
export function describeUncaptured(
  workloads: readonly Workload[],
  policies: readonly CompiledPolicy[],
  peerAuthentications: readonly MeshObject[],
  findings: Findings,
): void {
  const open = workloads.filter(({ protocol }) => protocol === 'TCP')
  if (open.length === 0) return
  for (const { object, key, authorization } of policies) {
    if (authorization.dryRun) continue
    tell(
      object,
      open.filter((workload) => appliesTo(authorization, key, workload)),
      findings,
    )
  }
  const strict = Map.groupBy(open.filter(isStrict), ({ peerAuthentication }) => peerAuthentication.source)
  for (const object of peerAuthentications) tell(object, strict.get(nameOf(object)) ?? [], findings)
}

function appliesTo({ scope, namespace }: CompiledPolicy['authorization'], key: string, workload: Workload): boolean {
  if (scope === 'mesh') return true
  return scope === 'namespace' ? workload.namespace === namespace : workload.authorizations.includes(key)
}

function isStrict({ peerAuthentication }: Workload): boolean {
  return peerAuthentication.mode === 'STRICT' || Object.values(peerAuthentication.ports).includes('STRICT')
}

const namesShown = 3

function tell(object: MeshObject, open: readonly Workload[], findings: Findings): void {
  if (open.length === 0) return
  const names = open.slice(0, namesShown).map(({ namespace, name }) => `${namespace}/${name}`)
  const more = open.length > namesShown ? ` and ${open.length - namesShown} more` : ''
  const message = `no proxy stands in front of ${names.join(', ')}${more}: not enforced there until they are enrolled and captured`
  const finding: Finding = { type: 'WorkloadsCaptured', status: 'False', reason: 'NotCaptured', message }
  findings.add(object, finding)
}
