// RateLimitPolicy (culvert.dev): how many requests waypoints let through, and for whom they are counted apart. A policy attached to
// its targets as GEP-713 (Gateway API, direct policy attachment) describes; what is counted is a token bucket of each rule and key.
import { choice, conditionStatus, list, part, time } from './core-parts.ts'
import { durationMs, positiveDuration } from './duration.ts'
import { enforced, type ObjectCheck, type ObjectField, type ValueOf } from './field.ts'
import { gatewayGroup, groupOf, objectName, sectionName } from './gateway-parts.ts'
import { httpMatches } from './http-matches.ts'
import { flag, text, whole } from './parts.ts'
import { clip, dnsLabel } from './rules.ts'

/** Who may be a target, and the API group of each. */
const groups: Readonly<Record<string, string>> = {
  Service: '',
  Gateway: gatewayGroup,
  HTTPRoute: gatewayGroup,
  GRPCRoute: gatewayGroup,
}

/** The most that a bucket may hold or get. */
const mostRequests = 1_000_000_000
const dayMs = 86_400_000

const groupFitsKind: ObjectCheck = (target, report) => {
  const { kind, group = '' } = target as { kind: string; group?: string }
  const wanted = groups[kind] ?? ''
  if (group !== wanted)
    report(['group'], `must be "${wanted}" for kind ${kind}${wanted === '' ? ': leave it out' : ''}`)
}

const target = part(
  'One target, in the namespace of the policy.',
  {
    group: groupOf('API group of the target; empty for a Service.', { default: '' }),
    kind: choice('Kind of the target.', ['Service', 'Gateway', 'HTTPRoute', 'GRPCRoute'], { required: true }),
    name: objectName('Name of the target.', { required: true }),
    sectionName: sectionName('A port of the Service, a listener of the Gateway or a rule of the route, by its name.'),
  },
  { checks: [groupFitsKind] },
)

const named: readonly string[] = ['Header', 'Claim']

const nameFitsType: ObjectCheck = (key, report) => {
  const { type, name } = key as { type: string; name?: string }
  if (named.includes(type) && name === undefined)
    report(['name'], `is required: say which ${type.toLowerCase()}`, 'required')
  if (!named.includes(type) && name !== undefined) report(['name'], `has no meaning for type ${type}: leave it out`)
  if (type === 'Header' && name !== undefined && !/^[-!#$%&'*+.^_`|~A-Za-z0-9]+$/.test(name))
    report(['name'], `"${clip(name)}" is not a header name`)
}

const key = part(
  'One part of what tells callers apart.',
  {
    type: choice(
      'Identity (the service account of the mesh), Namespace (of the caller), Header, Path, Claim (of a checked token) or SourceAddress.',
      ['Identity', 'Namespace', 'Header', 'Path', 'Claim', 'SourceAddress'],
      { required: true },
    ),
    name: text('Name of the header, or of the claim with dots between its levels.', { minLength: 1, maxLength: 256 }),
  },
  { checks: [nameFitsType] },
)

const period = (value: string): string | undefined => {
  const wrong = positiveDuration(value)
  if (wrong !== undefined) return wrong
  return durationMs(value)! > dayMs ? `"${clip(value)}" is more than a day (24h)` : undefined
}

const burstCovers: ObjectCheck = (limit, report) => {
  const { burst, requests } = limit as { burst?: number; requests: number }
  if (burst !== undefined && burst < requests)
    report(
      ['burst'],
      `${burst} is less than the ${requests} requests of one period, which could never be used; raise it`,
    )
}

const limit = part(
  'How many requests are let through.',
  {
    requests: whole('Requests in each period.', 1, mostRequests, { required: true }),
    per: text('Length of the period, such as 1s, 1m or 1h; at most 24h.', { required: true, check: period }),
    burst: whole('The most requests at once after a quiet time; as many as requests where absent.', 1, mostRequests),
  },
  { required: true, checks: [burstCovers] },
)

const sameKeyOnce: ObjectCheck = (rule, report) => {
  const keys = (rule['keys'] as readonly { type: string; name?: string }[] | undefined) ?? []
  const seen = new Map<string, number>()
  for (const [index, { type, name = '' }] of keys.entries()) {
    const id = `${type} ${type === 'Header' ? name.toLowerCase() : name}`
    const first = seen.get(id)
    if (first === undefined) seen.set(id, index)
    else report(['keys', index], `is the same as keys[${first}]; keep one`, 'duplicate')
  }
}

const rule = part(
  'One limit. Of several that a request meets, each must have room.',
  {
    name: text('Name, unique in the policy: in metrics and in the RateLimit-Policy header.', {
      required: true,
      check: dnsLabel,
    }),
    matches: httpMatches,
    keys: list('What tells callers apart, each with a bucket of its own; one bucket for all where absent.', key, {
      maxItems: 8,
    }),
    limit,
    scope: choice(
      'Local: each waypoint counts for itself. Mesh: all waypoints of the target count together.',
      ['Local', 'Mesh'],
      { default: 'Local' },
    ),
    dryRun: flag('Whether requests over the limit are counted and let through.'),
  },
  { checks: [sameKeyOnce] },
)

const distinctTargets: ObjectCheck = (spec, report) => {
  const targets = spec['targetRefs'] as readonly Readonly<Record<string, string | undefined>>[]
  const seen = new Map<string, number>()
  for (const [index, { kind, name, sectionName: section = '' }] of targets.entries()) {
    const id = `${kind}/${name}/${section}`
    const first = seen.get(id)
    if (first === undefined) seen.set(id, index)
    else report(['targetRefs', index], `is the same as targetRefs[${first}]; keep one`, 'duplicate')
  }
}

export const rateLimitPolicySpec = {
  type: 'object',
  text: 'Limits, and what they are for.',
  use: enforced('waypoint: rate limits'),
  required: true,
  checks: [distinctTargets],
  fields: {
    targetRefs: list('What the limits are for.', target, { required: true, minItems: 1, maxItems: 16 }),
    rules: list('The limits.', rule, {
      required: true,
      minItems: 1,
      maxItems: 64,
      listType: 'map',
      mapKeys: ['name'],
    }),
    response: part('What callers over the limit are told: status 429 with Retry-After.', {
      headers: {
        ...flag('Whether RateLimit and RateLimit-Policy headers are sent, also under the limit.'),
        default: true,
      },
      grpcStatus: choice(
        'Status for gRPC callers, who take UNAVAILABLE for a reason to try again.',
        ['RESOURCE_EXHAUSTED', 'UNAVAILABLE'],
        { default: 'RESOURCE_EXHAUSTED' },
      ),
    }),
  },
} as const satisfies ObjectField

const observedGeneration = whole('The metadata.generation that this is about.', 0, Number.MAX_SAFE_INTEGER)

export const rateLimitPolicyStatus = {
  type: 'object',
  text: 'What the mesh made of the policy.',
  use: enforced('api: written by the control plane'),
  fields: {
    conditions: list(
      'Conditions, one of each type.',
      part('One condition.', {
        type: text('Name of the condition.', { required: true }),
        status: conditionStatus,
        reason: text('Why, in one word.', { required: true }),
        message: text('Why, for people.', { required: true }),
        observedGeneration,
        lastTransitionTime: time('When the condition changed last.'),
      }),
      { listType: 'map', mapKeys: ['type'] },
    ),
  },
} as const satisfies ObjectField

export type RateLimitPolicySpec = ValueOf<typeof rateLimitPolicySpec>
