// The workload selector of Istio's policies, shared by all kinds that apply to workloads, and the targets at waypoints.
import {
  asWhole,
  enforced,
  type FieldTable,
  type FieldUse,
  type MapField,
  type ObjectField,
  type ObjectRule,
} from './field.ts'
import { text } from './parts.ts'
import { labelValue, qualifiedName } from './rules.ts'

const noWildcard = 'a wildcard is not allowed in a selector'

function matchLabels(use: FieldUse) {
  return {
    type: 'map',
    text: 'Labels that a workload must carry, all of them.',
    use,
    maxItems: 4096,
    key: (key) => (key.includes('*') ? noWildcard : qualifiedName(key)),
    value: {
      type: 'string',
      text: 'The exact value of the label.',
      use: asWhole,
      check: (value: string) => (value.includes('*') ? noWildcard : labelValue(value)),
    },
  } as const satisfies MapField
}

/** Without labels it stands for the whole namespace, as in Istio. */
export const workloadSelector = {
  type: 'object',
  text: 'The workloads of the namespace that the resource applies to; all of them where absent or without labels.',
  use: enforced('compile'),
  fields: { matchLabels: matchLabels(enforced('compile: which workloads the resource applies to')) },
} as const satisfies ObjectField

/** For kinds of which another field says that it has no effect. */
export const selectorAsWhole = {
  ...workloadSelector,
  use: asWhole,
  fields: { matchLabels: matchLabels(asWhole) },
} as const satisfies ObjectField

const targetFields = {
  group: text('API group of the target; empty for the core group.', {
    maxLength: 253,
    pattern: '^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
  }),
  kind: text('Kind of the target.', {
    required: true,
    minLength: 1,
    maxLength: 63,
    pattern: '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$',
  }),
  name: text('Name of the target.', { required: true, minLength: 1, maxLength: 253 }),
  namespace: text('Must be empty: the target stands in the same namespace.', {
    check: (value: string) =>
      value === '' ? undefined : 'must be empty: a target in another namespace is not supported',
  }),
} as const satisfies FieldTable

export const targetRef = {
  type: 'object',
  text: 'Older form of targetRefs.',
  use: asWhole,
  fields: targetFields,
} as const satisfies ObjectField

export const targetRefs = {
  type: 'list',
  text: 'Gateways or Services whose waypoint the resource applies to.',
  use: asWhole,
  maxItems: 16,
  item: { type: 'object', text: 'One target.', use: asWhole, fields: targetFields },
} as const

export const selectorOrTargets: ObjectRule = {
  message: 'only one of targetRefs or selector can be set',
  check: (spec, report) => {
    const [first, second] = ['selector', 'targetRef', 'targetRefs'].filter((name) => spec[name] !== undefined)
    if (second !== undefined) report([second], `cannot be combined with ${first}`)
  },
}
