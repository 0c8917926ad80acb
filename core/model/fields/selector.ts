// The workload selector of Istio's policies, shared by AuthorizationPolicy and PeerAuthentication.
import { asWhole, enforced, type MapField, type ObjectField } from './field.ts'
import { labelValue, qualifiedName } from './rules.ts'

const noWildcard = 'a wildcard is not allowed in a selector'

const matchLabels = {
  type: 'map',
  text: 'Labels that a workload must carry, all of them.',
  use: enforced('compile: which workloads the resource applies to'),
  maxItems: 4096,
  key: (key) => (key.includes('*') ? noWildcard : qualifiedName(key)),
  value: {
    type: 'string',
    text: 'The exact value of the label.',
    use: asWhole,
    check: (value) => (value.includes('*') ? noWildcard : labelValue(value)),
  },
} as const satisfies MapField

/** Without labels it stands for the whole namespace, as in Istio. */
export const workloadSelector = {
  type: 'object',
  text: 'The workloads of the namespace that the resource applies to; all of them where absent or without labels.',
  use: enforced('compile'),
  fields: { matchLabels },
} as const satisfies ObjectField
