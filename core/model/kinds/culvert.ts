// Culvert's own kinds: what no other API can say.
import { rateLimitPolicySpec, rateLimitPolicyStatus } from '../fields/rate-limit-policy.ts'
import { dnsSubdomain } from '../fields/rules.ts'
import { age, column, conditionColumn, type Kind } from './kind.ts'

export const rateLimitPolicyKind: Kind = {
  kind: 'RateLimitPolicy',
  group: 'culvert.dev',
  versions: ['v1alpha1'],
  plural: 'ratelimitpolicies',
  singular: 'ratelimitpolicy',
  shortNames: ['rlp'],
  categories: ['culvert'],
  namespaced: true,
  body: { spec: rateLimitPolicySpec },
  status: rateLimitPolicyStatus,
  name: dnsSubdomain,
  nulls: 'refused',
  columns: [
    column('Targets', 'spec.targetRefs.name', 'What the limits are for.'),
    column('Rules', 'spec.rules.name', 'Names of the limits.'),
    conditionColumn('Accepted', 'Whether the policy is accepted.'),
    age,
  ],
}

export const culvertKinds: readonly Kind[] = [rateLimitPolicyKind]
