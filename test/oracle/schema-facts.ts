// Turns the OpenAPI schema of a CRD into facts by path. Only extract.ts calls it.
import type { PathFacts } from './facts.ts'

export interface Schema {
  readonly type?: string
  readonly enum?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
  readonly minItems?: number
  readonly maxItems?: number
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly default?: unknown
  readonly nullable?: boolean
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
  readonly 'x-kubernetes-list-type'?: string
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-map-type'?: string
  readonly 'x-kubernetes-validations'?: readonly { readonly message: string }[]
}

/** Everything below the object except apiVersion, kind and metadata. */
export function factsOf(root: Schema): Readonly<Record<string, PathFacts>> {
  const found: Record<string, PathFacts> = {}
  for (const [name, schema] of Object.entries(root.properties ?? {})) {
    if (['apiVersion', 'kind', 'metadata'].includes(name)) continue
    collect(schema, name, root.required?.includes(name) === true, found)
  }
  return found
}

function collect(schema: Schema, path: string, required: boolean, found: Record<string, PathFacts>): void {
  found[path] = pathFacts(schema, required)
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    collect(inner, `${path}.${name}`, schema.required?.includes(name) === true, found)
  }
  if (schema.items !== undefined) collect(schema.items, `${path}[]`, false, found)
  if (typeof schema.additionalProperties === 'object') collect(schema.additionalProperties, `${path}{}`, false, found)
}

function pathFacts(schema: Schema, required: boolean): PathFacts {
  const rules = [...(schema['x-kubernetes-validations'] ?? []).map(({ message }) => message), ...alternatives(schema)]
  const facts = {
    type: typeOf(schema),
    required: required || undefined,
    min: schema.minimum,
    max: schema.maximum,
    minLength: schema.minLength,
    maxLength: schema.maxLength,
    pattern: schema.pattern,
    format: schema.format,
    minItems: schema.minItems ?? schema.minProperties,
    maxItems: schema.maxItems ?? schema.maxProperties,
    default: schema.default,
    nullable: schema.nullable,
    listType: schema['x-kubernetes-list-type'],
    mapKeys: schema['x-kubernetes-list-map-keys'],
    atomic: schema['x-kubernetes-map-type'] === 'atomic' || undefined,
    open: (schema.properties !== undefined && schema['x-kubernetes-preserve-unknown-fields']) || undefined,
    rules: rules.length > 0 ? rules : undefined,
  }
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as unknown as PathFacts
}

/** `oneOf` of fields that exclude each other, as protobuf has it; anything else is told by its first property. */
function alternatives(schema: Schema): readonly string[] {
  if (schema['x-kubernetes-int-or-string'] === true) return []
  const groups = [schema, ...(schema.allOf ?? [])].flatMap(({ oneOf }) => (oneOf === undefined ? [] : [oneOf]))
  return groups.flatMap((options) => {
    const names = options.flatMap(({ required }) => required ?? [])
    if (names.length > 0) return names.length === 1 ? [] : [`at most one of ${names.join(', ')}`]
    return [`one of the shapes of ${Object.keys(options[0]?.properties ?? {}).join(', ')}`]
  })
}

function typeOf(schema: Schema): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'int-or-string'
  if (schema.enum !== undefined) return `enum ${[...schema.enum].sort().join('|')}`
  if (schema.type === 'array') return 'list'
  if (schema.additionalProperties !== undefined) return 'map'
  if (schema.properties === undefined && schema['x-kubernetes-preserve-unknown-fields'] === true) return 'any'
  return schema.type ?? 'object'
}
