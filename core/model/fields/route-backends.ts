// Where a route of the Gateway API leads: references to services, with weights. Shared by all kinds of routes; filters refer to
// backends too.
import { asWhole, type FieldTable, type ListField, type ListRule, type ObjectField, type ObjectRule } from './field.ts'
import { groupOf, kindName, namespaceName, objectName } from './gateway-parts.ts'
import { port, whole } from './parts.ts'

const referenceFields = {
  group: groupOf('API group of the backend; empty for a Service.', { default: '' }),
  kind: kindName('Kind of the backend.', { default: 'Service' }),
  name: objectName('Name of the backend.', { required: true }),
  namespace: namespaceName('Its namespace, this one where absent; another one needs a ReferenceGrant.'),
  port: port('Port of the service.'),
} as const satisfies FieldTable

const needsPort: ObjectRule = {
  message: 'Must have port for Service reference',
  check: ({ group = '', kind = 'Service', name, port: number }, report) => {
    if (group !== '' || kind !== 'Service' || number !== undefined) return
    report(['port'], `is required; say which port of the Service ${String(name)} gets the traffic`, 'required')
  },
}

/** A backend without weight, as filters name it (`BackendObjectReference`). */
export function backendReference(what: string) {
  const rules = [needsPort] as const
  return { type: 'object', text: what, use: asWhole, required: true, fields: referenceFields, rules } as const
}

export const backendFields = {
  ...referenceFields,
  weight: whole('Share of the traffic, relative to the other backends; 0 for none.', 0, 1_000_000, { default: 1 }),
} as const satisfies FieldTable

export const backendRules: readonly ObjectRule[] = [needsPort]

const backend = {
  type: 'object',
  text: 'One backend.',
  use: asWhole,
  fields: backendFields,
  rules: backendRules,
} as const satisfies ObjectField

/** Of routes at layer 4, which have nothing but backends. */
export const requiredBackends = {
  type: 'list',
  text: 'Backends that share the connections.',
  use: asWhole,
  required: true,
  minItems: 1,
  maxItems: 16,
  item: backend,
} as const satisfies ListField

/** Of the rules of a route. */
export const distinctRuleNames: ListRule = {
  message: 'Rule name must be unique within the route',
  check: (rules, report) => {
    const seen = new Map<unknown, number>()
    for (const [index, { name }] of rules.entries()) {
      const first = seen.get(name)
      if (name === undefined) continue
      if (first === undefined) seen.set(name, index)
      else report([index, 'name'], `"${String(name)}" is the name of rule ${first} already`, 'duplicate')
    }
  },
}
