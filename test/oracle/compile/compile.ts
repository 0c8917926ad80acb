// Resources in, compiled model out. Pure: the same objects give the same result, in whatever order they come. Called by
// control/publish after each change, and by tests and `analyze` on files.

import type { CompileSettings } from '../../../control/compile/settings.ts'
import { ignoredFields } from '../../../core/model/ignored.ts'
import { formatProblem, type Problem } from '../../../core/model/problem.ts'
import type { Condition, MeshObject } from '../../../core/model/resource.ts'
import type { CompiledResource, Service, Workload } from '../../../core/model/types.ts'
import { validateObject } from '../../../core/model/validate.ts'
import { attachPolicies, describeUncaptured } from './attachment.ts'
import { type CompiledPolicy, compilePolicy } from './authorization-policy.ts'
import { Findings, notAccepted } from './conditions.ts'
import { compilePeerAuthentication } from './peer-authentication.ts'
import { compileServices } from './service.ts'
import { Waypoints } from './waypoints.ts'
import { compileWorkloads } from './workload-entry.ts'

export interface Compiled {
  readonly resources: readonly CompiledResource[]
  /** By formatObjectKey of the object. */
  readonly conditions: ReadonlyMap<string, readonly Condition[]>
}

export function compile(objects: readonly MeshObject[], settings: CompileSettings): Compiled {
  const findings = new Findings()
  const byKind = Map.groupBy(objects.map(readable), (object) => object.kind)
  const of = (kind: string): readonly MeshObject[] => byKind.get(kind) ?? []
  for (const object of objects) describeFields(object, findings)
  const waypoints = new Waypoints(of, settings, findings)
  waypoints.describeNamespaces()
  const services = compileServices(of('Service'), settings, findings, waypoints)
  const policies = of('AuthorizationPolicy').flatMap((object) => compilePolicy(object, settings, findings) ?? [])
  const workloads = compileWorkloads(of('WorkloadEntry'), {
    settings,
    namespaces: new Map(of('Namespace').map((object) => [object.metadata.name, object])),
    servicesByNamespace: Map.groupBy(services, ({ service }) => service.namespace),
    peerAuthentication: compilePeerAuthentication(of('PeerAuthentication'), settings, findings),
    waypoints,
    findings,
  })
  const attached = attachPolicies(workloads, policies, services)
  describeUncaptured(attached, policies, of('PeerAuthentication'), findings)
  return {
    resources: resourcesOf(
      settings,
      [...services.map(({ service }) => service), ...waypoints.services],
      policies,
      attached,
    ),
    conditions: findings.conditions(),
  }
}

function resourcesOf(
  settings: CompileSettings,
  services: readonly Service[],
  policies: readonly CompiledPolicy[],
  workloads: readonly Workload[],
): readonly CompiledResource[] {
  return [
    { kind: 'Mesh', key: 'mesh', value: settings.mesh },
    ...policies.map(({ key, authorization }) => ({ kind: 'Authorization', key, value: authorization }) as const),
    ...services.map((value) => ({ kind: 'Service', key: `${value.namespace}/${value.hostname}`, value }) as const),
    ...workloads.map((workload) => ({ kind: 'Workload', key: workload.uid, value: workload }) as const),
  ]
}

function isSecurityRule({ kind }: MeshObject): boolean {
  return kind === 'AuthorizationPolicy' || kind === 'PeerAuthentication'
}

const checked = new WeakMap<MeshObject, readonly Problem[]>()

/**
 * What makes an object unreadable. Refused fields are readable (each kind deals with them), and so are unknown ones unless
 * they may be a condition of a security rule.
 */
function problemsOf(object: MeshObject): readonly Problem[] {
  const known = checked.get(object)
  if (known !== undefined) return known
  const tolerated: readonly (string | undefined)[] = isSecurityRule(object) ? ['refused'] : ['refused', 'unknown']
  const problems = validateObject(object).filter(({ reason }) => !tolerated.includes(reason))
  checked.set(object, problems)
  return problems
}

/**
 * Every write is validated, so only another version of Culvert can have stored what does not fit. It must not stop the rest,
 * and a security rule that cannot be read refuses everything in its namespace; anything else counts as if it were not there.
 */
function readable(object: MeshObject): MeshObject {
  if (problemsOf(object).length === 0) return object
  if (object.kind === 'AuthorizationPolicy') return { ...object, spec: { action: 'DENY', rules: [{}] } }
  if (object.kind === 'PeerAuthentication') return { ...object, spec: { mtls: { mode: 'STRICT' } } }
  return { ...object, kind: `Unreadable ${object.kind}` }
}

/** Accepted, and a condition for each field that was set without effect. */
function describeFields(object: MeshObject, findings: Findings): void {
  findings.accept(object)
  const problems = problemsOf(object)
  if (problems.length > 0) {
    findings.add(object, notAccepted('Invalid', problems.map(formatProblem).join('; ')))
    return
  }
  for (const { path, text } of ignoredFields(object)) {
    const type = `Ignored.${path.replace(/[^A-Za-z0-9_-]+/g, '.').replace(/[^A-Za-z0-9]+$/, '')}`.slice(0, 316)
    findings.add(object, { type, status: 'True', reason: 'FieldIgnored', message: `${path}: ${text}` })
  }
}
