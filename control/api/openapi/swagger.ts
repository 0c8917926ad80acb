// The same API as a Swagger 2.0 document, for clients older than OpenAPI v3: references, bodies and answers are written in
// another way. Pure; documents.ts calls it.
import type { Schema } from './schema.ts'

export interface OpenApiPart {
  readonly paths: Readonly<Record<string, Schema>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

const open = 'x-kubernetes-preserve-unknown-fields'
const methods = ['get', 'put', 'post', 'patch', 'delete']

/** All parts in one document. */
export function swaggerOf(version: string, parts: readonly OpenApiPart[]): Schema {
  const paths = parts.flatMap((part) => Object.entries(part.paths).map(([path, item]) => [path, pathItem(item)]))
  const definitions = parts.flatMap((part) => Object.entries(part.components.schemas))
  return {
    swagger: '2.0',
    info: { title: 'Culvert', version },
    paths: Object.fromEntries(paths),
    definitions: Object.fromEntries(definitions.map(([name, schema]) => [name, swaggerSchema(schema)])),
  }
}

function pathItem(item: Schema): Schema {
  const entries = Object.entries(item).map(([name, value]) => {
    if (name === 'parameters') return [name, (value as readonly Schema[]).map(parameter)]
    return [name, methods.includes(name) ? operation(value as Schema) : value]
  })
  return Object.fromEntries(entries)
}

function operation({ requestBody, responses, parameters, ...rest }: Schema): Schema {
  const asked = content(requestBody as Schema | undefined)
  const given = Object.entries(responses as Schema).map(([code, value]) => [code, response(value as Schema)])
  const body = asked === undefined ? [] : [{ name: 'body', in: 'body', schema: asked.schema }]
  return {
    ...rest,
    ...(asked === undefined ? {} : { consumes: asked.types }),
    produces: ['application/json', 'application/yaml'],
    parameters: [...((parameters ?? []) as readonly Schema[]).map(parameter), ...body],
    responses: Object.fromEntries(given),
  }
}

function response(value: Schema): Schema {
  const found = content(value)
  return { description: value['description'], ...(found === undefined ? {} : { schema: found.schema }) }
}

function content(
  value: Schema | undefined,
): { readonly types: readonly string[]; readonly schema: Schema } | undefined {
  if (value?.['content'] === undefined) return undefined
  const types = Object.entries(value['content'] as Readonly<Record<string, { schema: Schema }>>)
  return { types: types.map(([type]) => type), schema: swaggerSchema(types[0]![1].schema) }
}

function parameter({ schema, ...rest }: Schema): Schema {
  return { ...rest, ...(schema as Schema) }
}

/**
 * Swagger has neither `oneOf` nor `components`, and lets words stand beside a `$ref`. kubectl checks a List by this document and takes
 * no notice of `preserve-unknown-fields`, so that a type or properties beside it would refuse what the server takes.
 */
function swaggerSchema(schema: Schema): Schema {
  if (schema[open] === true) return { description: schema['description'], [open]: true }
  const { oneOf, allOf, default: _, ...rest } = schema
  const whole = oneOf === undefined ? rest : { type: 'string', ...rest }
  const referred = allOf === undefined ? whole : { ...(allOf as readonly Schema[])[0], ...whole }
  return Object.fromEntries(Object.entries(referred).map(([name, value]) => [name, swaggerValue(name, value)]))
}

function swaggerValue(name: string, value: unknown): unknown {
  if (name === '$ref') return (value as string).replace('#/components/schemas/', '#/definitions/')
  if (name === 'items' || name === 'additionalProperties') return swaggerSchema(value as Schema)
  if (name !== 'properties') return value
  const properties = Object.entries(value as Readonly<Record<string, Schema>>)
  return Object.fromEntries(properties.map(([key, schema]) => [key, swaggerSchema(schema)]))
}
