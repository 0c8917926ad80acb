// RateLimitPolicy: its targets found, its rules compiled. A target that is not there is told and left out.
import { durationMs } from '../../../core/model/fields/duration.ts'
import type { RateLimitPolicySpec } from '../../../core/model/fields/rate-limit-policy.ts'
import { rateLimitPolicyKind } from '../../../core/model/kinds/culvert.ts'
import type { RateLimit, RateLimitKey, RateLimitRule, RateLimitTarget } from '../../../core/model/rate-limits.ts'
import { nameOf } from '../conditions.ts'
import { attachments } from '../routes/claims.ts'
import { noWaypoint, type Tell, tellOnce, unresolved } from '../routes/findings.ts'
import type { GatewayContext } from '../routes/gateway-backends.ts'
import { httpMatches } from '../routes/gateway-rules.ts'
import { RoutedServices } from '../routes/services.ts'
import { waypointBefore } from '../routes/table.ts'
import type { Rule, Scope } from '../rule.ts'
import { declaredGateway } from '../waypoints/gateway.ts'

interface WrittenTarget {
  readonly kind: 'Service' | 'Gateway' | 'HTTPRoute' | 'GRPCRoute'
  readonly name: string
  readonly sectionName?: string
}
type WrittenRule = RateLimitPolicySpec['rules'][number]
/** RateLimitPolicySpec, spelt out where its table is too deep for the compiler to follow. */
interface Written {
  readonly targetRefs: readonly WrittenTarget[]
  readonly rules: readonly WrittenRule[]
  readonly response?: { readonly headers?: boolean; readonly grpcStatus?: RateLimit['grpcStatus'] }
}

export const rateLimitRule: Rule = {
  kind: rateLimitPolicyKind,
  run(object, scope) {
    const { namespace = '', name } = object.metadata
    const spec = object.spec as unknown as Written
    const tell = tellOnce(scope)
    const context: GatewayContext = { namespace, services: new RoutedServices(scope), tell }
    const targets = spec.targetRefs.flatMap((target, index) => targetOf(target, index, context, scope) ?? [])
    const rules = spec.rules.flatMap((rule, index) => ruleOf(rule, index, context) ?? [])
    if (targets.length === 0 || rules.length === 0) return
    const { headers = true, grpcStatus = 'RESOURCE_EXHAUSTED' } = spec.response ?? {}
    const value: RateLimit = { namespace, name, targets, rules, headers, grpcStatus }
    scope.emit({ kind: 'RateLimit', key: nameOf(object), value })
    tellBare(targets, scope, tell)
  },
}

function targetOf(
  { kind, name, sectionName }: WrittenTarget,
  index: number,
  { namespace, services, tell }: GatewayContext,
  scope: Scope,
): RateLimitTarget | undefined {
  const missing = (text: string): undefined => {
    tell(unresolved('TargetNotFound', `targetRefs[${index}]: ${text}`))
    return undefined
  }
  const place = `${namespace}/${name}`
  if (kind === 'Gateway') {
    const gateway = scope.read(declaredGateway(place))[0]?.value
    if (gateway?.kind === 'waypoint') return { kind: 'waypoint', waypoint: gateway.service }
    return missing(gateway === undefined ? `there is no Gateway ${place}` : `the Gateway ${place} is no waypoint`)
  }
  if (kind === 'Service') {
    const service = services.named(namespace, name)
    if (service === undefined) return missing(`there is no Service ${place}`)
    if (sectionName === undefined) return { kind: 'service', service: service.key }
    const port = service.ports.find((each) => each.name === sectionName)?.port
    if (port === undefined) return missing(`Service ${place} has no port named ${sectionName}`)
    return { kind: 'service', service: service.key, port }
  }
  const attached = scope.read(attachments(kind, namespace, name))[0]?.value
  if (attached === undefined) return missing(`no Service has a ${kind} ${place}`)
  const rule = sectionName === undefined ? {} : { rule: sectionName }
  return { kind: 'route', route: { kind, namespace, name }, ...rule, services: attached }
}

/** Undefined where none of its matches can be used: it must not become a limit for everything. */
function ruleOf(rule: WrittenRule, index: number, context: GatewayContext): RateLimitRule | undefined {
  const written = rule.matches ?? []
  const matches = httpMatches(written, context, index)
  if (written.length > 0 && matches.length === 0) return undefined
  const { requests, per, burst = requests } = rule.limit
  const seconds = (durationMs(per) ?? 1000) / 1000
  return {
    name: rule.name,
    matches,
    key: (rule.keys ?? []).map(keyOf),
    size: { capacity: burst, perSecond: requests / seconds },
    scope: rule.scope === 'Mesh' ? 'mesh' : 'local',
    dryRun: rule.dryRun ?? false,
  }
}

function keyOf({ type, name = '' }: NonNullable<WrittenRule['keys']>[number]): RateLimitKey {
  switch (type) {
    case 'Identity':
      return { by: 'identity' }
    case 'Namespace':
      return { by: 'namespace' }
    case 'SourceAddress':
      return { by: 'source' }
    case 'Path':
      return { by: 'path' }
    case 'Header':
      return { by: 'header', name: name.toLowerCase() }
    case 'Claim':
      return { by: 'claim', path: name.split('.') }
  }
}

/** Services without a waypoint: nobody counts there. */
function tellBare(targets: readonly RateLimitTarget[], scope: Scope, tell: Tell): void {
  const services = targets.flatMap((target) => {
    if (target.kind === 'waypoint') return []
    return target.kind === 'service' ? [target.service] : target.services
  })
  const bare = [...new Set(services)].filter((service) => scope.read(waypointBefore(service)).length === 0)
  if (bare.length > 0) tell(noWaypoint(bare.map((key) => `Service ${key.split('.')[0]}`)))
}
