// Field tables as OpenAPI v3 schemas: what kubectl explains, validates against and merges lists by. Pure; kind-schema.ts calls it.
import {
  type Field,
  type FieldTable,
  fieldsAt,
  type ListField,
  type MapField,
  type ObjectField,
} from '../../../core/model/fields/field.ts'

/** A JSON Schema as OpenAPI 3.0 writes it, with Kubernetes' extensions. */
export type Schema = Readonly<Record<string, unknown>>

/** The schema of a field as a version of its kind has it. */
export function schemaOf(field: Field, version: string): Schema {
  const head = {
    description: describe(field),
    ...(field.default === undefined ? {} : { default: field.default }),
  }
  switch (field.type) {
    case 'string': {
      const { minLength, maxLength, pattern, format } = field
      return { ...head, type: 'string', ...present({ minLength, maxLength, pattern, format }) }
    }
    case 'enum':
      return { ...head, type: 'string', enum: field.values }
    case 'boolean':
      return { ...head, type: 'boolean' }
    case 'integer':
      return { ...head, ...integerSchema(field.min, field.max), ...present({ enum: field.values }) }
    case 'number':
      return { ...head, type: 'number', format: 'double', ...present({ minimum: field.min, maximum: field.max }) }
    case 'int-or-string':
      return { ...head, allOf: [{ $ref: `#/components/schemas/${intOrString}` }] }
    case 'any':
      return { ...head, 'x-kubernetes-preserve-unknown-fields': true }
    case 'list':
      return { ...head, ...listSchema(field, version) }
    case 'map':
      return { ...head, ...mapSchema(field, version) }
    case 'object':
      return { ...head, ...objectSchema(field, version) }
  }
}

/** The field's sentence, and what Culvert does not do about it. */
function describe({ text, use }: Field): string {
  if (use.kind === 'enforced') return text
  if (use.kind === 'layer7') return `${text} Layer 7: ${use.text}.`
  return `${text} ${use.kind === 'ignored' ? 'No effect' : 'Refused'}: ${use.text}.`
}

/** A reference, since that is how kubectl knows what to call it. */
export const intOrString = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString'

const int32 = 2 ** 31

function integerSchema(min: number, max: number): Schema {
  const format = min >= -int32 && max < int32 ? 'int32' : 'int64'
  const minimum = Number.isSafeInteger(min) ? min : undefined
  const maximum = max < Number.MAX_SAFE_INTEGER ? max : undefined
  return { type: 'integer', format, ...present({ minimum, maximum }) }
}

function listSchema(field: ListField, version: string): Schema {
  const { minItems, maxItems, listType, mapKeys, patch } = field
  return {
    type: 'array',
    items: schemaOf(field.item, version),
    ...present({
      minItems,
      maxItems,
      'x-kubernetes-list-type': listType,
      'x-kubernetes-list-map-keys': mapKeys,
      'x-kubernetes-patch-strategy': patch?.strategy,
      'x-kubernetes-patch-merge-key': patch?.mergeKey,
    }),
  }
}

function mapSchema(field: MapField, version: string): Schema {
  const bounds = present({ minProperties: field.minItems, maxProperties: field.maxItems })
  const additionalProperties = schemaOf(field.value, version)
  return { type: 'object', additionalProperties, ...bounds, ...atomic(field.atomic) }
}

function objectSchema(field: ObjectField, version: string): Schema {
  const open = field.open === true ? { 'x-kubernetes-preserve-unknown-fields': true } : {}
  return { type: 'object', ...propertiesOf(field.fields, version), ...atomic(field.atomic), ...open }
}

/** `properties` and `required` of the fields that this version has. */
export function propertiesOf(table: FieldTable, version: string): Schema {
  const fields = fieldsAt(table, version)
  const properties = Object.fromEntries(fields.map(([name, field]) => [name, schemaOf(field, version)]))
  const required = fields.flatMap(([name, field]) => (field.required === true ? [name] : []))
  return { properties, ...(required.length === 0 ? {} : { required }) }
}

function atomic(isAtomic: boolean | undefined): Schema {
  return isAtomic === true ? { 'x-kubernetes-map-type': 'atomic' } : {}
}

function present(values: Readonly<Record<string, unknown>>): Schema {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}
