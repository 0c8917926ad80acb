// Builders and shapes that the tables of Kubernetes' own kinds share: times, quantities, references, label selectors.
import {
  asWhole,
  type EnumField,
  type Field,
  type FieldTable,
  type ListField,
  type ObjectCheck,
  type ObjectField,
} from './field.ts'
import { flag, labels, text, texts } from './parts.ts'
import { annotationKey, clip, dnsSubdomain, labelValue, qualifiedName } from './rules.ts'

type More<F> = Partial<Omit<F, 'type' | 'text'>>

export function choice<
  const Values extends readonly string[],
  const Extra extends More<EnumField> = Record<never, never>,
>(what: string, values: Values, extra?: Extra) {
  return { type: 'enum', text: what, use: asWhole, values, ...(extra as Extra) } as const
}

export function part<const Fields extends FieldTable, const Extra extends More<ObjectField> = Record<never, never>>(
  what: string,
  fields: Fields,
  extra?: Extra,
) {
  return { type: 'object', text: what, use: asWhole, fields, ...(extra as Extra) } as const
}

export function list<const Item extends Field, const Extra extends More<ListField> = Record<never, never>>(
  what: string,
  item: Item,
  extra?: Extra,
) {
  return { type: 'list', text: what, use: asWhole, item, ...(extra as Extra) } as const
}

/** A list whose items are told apart, and merged by strategic patches, by one field. */
export function listBy<const Item extends Field>(key: string, what: string, item: Item, mapKeys?: readonly string[]) {
  const patch = { strategy: 'merge', mergeKey: key } as const
  return list(what, item, { listType: 'map', mapKeys: mapKeys ?? [key], patch })
}

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/

/** `2026-01-02T03:04:05Z`, with fractions of a second where the field has them. */
export function timestamp(value: string): string | undefined {
  return rfc3339.test(value) && !Number.isNaN(Date.parse(value))
    ? undefined
    : `"${clip(value)}" is not a time such as 2026-01-02T03:04:05Z`
}

export function time(what: string) {
  return text(what, { format: 'date-time', check: timestamp })
}

const quantityText = /^[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/

/** apimachinery's `resource.Quantity`: `500m`, `1.5`, `128Mi`, `1e3`. */
export function quantity(value: number | string): string | undefined {
  if (typeof value === 'number' || quantityText.test(value)) return undefined
  return `"${clip(value)}" is not an amount such as 500m, 1.5 or 128Mi`
}

export function amount(what: string) {
  return { type: 'int-or-string', text: what, use: asWhole, fractions: true, check: quantity } as const
}

/** Amounts by name of a resource. */
export function amounts(what: string) {
  return { type: 'map', text: what, use: asWhole, key: qualifiedName, value: amount('How much.') } as const
}

/** Names that may have been left empty, as Go's types write them. */
export function orEmpty(check: (value: string) => string | undefined) {
  return (value: string): string | undefined => (value === '' ? undefined : check(value))
}

/** Standard padded base64, with line breaks as Go's decoder takes them. */
export function base64(value: string): string | undefined {
  const written = value.replace(/[\r\n]/g, '')
  if (written.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(written)) return undefined
  return 'is not base64: encode it (printf %s VALUE | base64), or write it as it is under stringData'
}

/** Keys of a Secret or ConfigMap become file names. */
export function dataKey(value: string): string | undefined {
  if (value === '.' || value.startsWith('..')) return `"${clip(value)}" cannot be a file name`
  if (value.length <= 253 && /^[-._a-zA-Z0-9]+$/.test(value)) return undefined
  return `"${clip(value)}" is not a key: up to 253 letters, digits, "-", "_" and "."`
}

export const localReference = part(
  'An object of the same namespace.',
  {
    name: text('Name of the object.', { default: '' }),
  },
  { atomic: true },
)

export const objectReferenceFields = {
  apiVersion: text('API version of the object.'),
  kind: text('Kind of the object.'),
  name: text('Name of the object.'),
  namespace: text('Namespace of the object.'),
  uid: text('The life of the object that is meant.'),
  resourceVersion: text('The revision of the object that is meant.'),
  fieldPath: text('The part of the object that is meant, such as spec.containers{web}.'),
} as const satisfies FieldTable

export function objectReference(what: string) {
  return part(what, objectReferenceFields, { atomic: true })
}

const operatorFits: ObjectCheck = (requirement, report) => {
  const { operator, values = [] } = requirement as { operator: string; values?: readonly string[] }
  const needsValues = operator === 'In' || operator === 'NotIn'
  if (needsValues && values.length === 0) report(['values'], `are required for operator ${operator}`, 'required')
  if (!needsValues && values.length > 0) report(['values'], `must be absent for operator ${operator}`)
}

const selectorRequirement = part(
  'One condition on a label.',
  {
    key: text('Key of the label.', { required: true, check: qualifiedName }),
    operator: choice('How the values are compared.', ['In', 'NotIn', 'Exists', 'DoesNotExist'], { required: true }),
    values: texts('Values of the label.', labelValue),
  },
  { checks: [operatorFits] },
)

/** metav1.LabelSelector. */
export function labelSelector(what: string) {
  return part(
    what,
    {
      matchLabels: labels('Labels that must be there, all of them.'),
      matchExpressions: list('Conditions that must hold, all of them.', selectorRequirement),
    },
    { atomic: true },
  )
}

export const optional = flag('Whether what is named may be missing.')

export const conditionStatus = choice('Whether it holds.', ['True', 'False', 'Unknown'], { required: true })

export const annotations = {
  type: 'map',
  text: 'Free notes.',
  use: asWhole,
  key: annotationKey,
  value: text('Any text.'),
} as const

export const nodeName = orEmpty(dnsSubdomain)
