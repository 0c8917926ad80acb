// Which namespaces something is allowed for: all, the same one, or those with certain labels. Gateways say so of routes and of
// further listeners.
import { asWhole, type ListField, type ObjectCheck, type ObjectField } from './field.ts'
import { text } from './parts.ts'
import { clip, labelValue, qualifiedName } from './rules.ts'

const operators: readonly string[] = ['In', 'NotIn', 'Exists', 'DoesNotExist']

/** As Kubernetes: values go with In and NotIn, and only with those. */
const valuesFit: ObjectCheck = ({ operator, values = [] }, report) => {
  const count = (values as readonly unknown[]).length
  const compares = operator === 'In' || operator === 'NotIn'
  if (compares && count === 0) report(['values'], `is required for operator ${operator}`, 'required')
  if (!compares && count > 0) report(['values'], `is not for operator ${String(operator)}; remove it, or use In`)
}

const expression = {
  type: 'object',
  text: 'One condition about a label.',
  use: asWhole,
  checks: [valuesFit],
  fields: {
    key: text('Key of the label.', { required: true, check: qualifiedName }),
    operator: text('In, NotIn, Exists or DoesNotExist.', {
      required: true,
      check: (value: string) =>
        operators.includes(value) ? undefined : `"${clip(value)}" is not one of ${operators.join(', ')}`,
    }),
    values: {
      type: 'list',
      text: 'Values for In and NotIn.',
      use: asWhole,
      item: text('One value.', { check: labelValue }),
    },
  },
} as const satisfies ObjectField

/** `metav1.LabelSelector`. */
const labelSelector = {
  type: 'object',
  text: 'Labels of the namespaces; all conditions must hold.',
  use: asWhole,
  atomic: true,
  fields: {
    matchLabels: {
      type: 'map',
      text: 'Labels with their exact values.',
      use: asWhole,
      key: qualifiedName,
      value: text('The exact value of the label.', { check: labelValue }),
    },
    matchExpressions: {
      type: 'list',
      text: 'Conditions about labels.',
      use: asWhole,
      item: expression,
    } satisfies ListField,
  },
} as const satisfies ObjectField

const selectorGiven: ObjectCheck = ({ from, selector }, report) => {
  if (from === 'Selector' && selector === undefined) {
    report(['selector'], 'is required for from: Selector; an empty one selects every namespace', 'required')
  }
}

export function namespaceChoice<const From extends string>(
  what: string,
  values: readonly From[],
  initial: NoInfer<From>,
) {
  return {
    type: 'object',
    text: what,
    use: asWhole,
    default: { from: initial },
    checks: [selectorGiven],
    fields: {
      from: { type: 'enum', text: 'Which namespaces.', use: asWhole, values, default: initial },
      selector: labelSelector,
    },
  } as const satisfies ObjectField
}
