// The Swagger document as the Protocol Buffers that kubectl 1.27 and 1.28 insist on (github.com/google/gnostic,
// openapiv2/OpenAPIv2.proto, by whose field numbers this is written). documents.ts calls it.
import { MessageWriter } from '../protobuf/wire.ts'
import type { Schema } from './schema.ts'

/** As it is asked for, and as it is answered: Go's parser of media types refuses the `@`. */
export const gnosticAccepted = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
export const gnosticType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'

type Table = Readonly<Record<string, Schema>>

/** `swagger` is what swaggerOf made. */
export function gnosticOf(swagger: Schema): Buffer {
  const { title, version } = swagger['info'] as { title: string; version: string }
  return new MessageWriter()
    .text(1, '2.0')
    .message(2, new MessageWriter().text(1, title).text(2, version))
    .message(8, new MessageWriter().messages(2, named(swagger['paths'] as Table, pathItem)))
    .message(9, new MessageWriter().messages(1, named(swagger['definitions'] as Table, schema)))
    .finish()
}

function named(table: Table, write: (value: Schema) => MessageWriter): readonly MessageWriter[] {
  return Object.entries(table).map(([name, value]) => new MessageWriter().text(1, name).message(2, write(value)))
}

const operations: Readonly<Record<string, number>> = { get: 2, put: 3, post: 4, delete: 5, patch: 8 }

function pathItem(item: Schema): MessageWriter {
  const message = new MessageWriter()
  for (const [method, field] of Object.entries(operations)) {
    if (item[method] !== undefined) message.message(field, operation(item[method] as Schema))
  }
  return message.messages(9, parameters(item))
}

function operation(value: Schema): MessageWriter {
  return new MessageWriter()
    .text(3, value['description'] as string)
    .texts(6, (value['produces'] ?? []) as readonly string[])
    .texts(7, (value['consumes'] ?? []) as readonly string[])
    .messages(8, parameters(value))
    .message(9, new MessageWriter().messages(1, named(value['responses'] as Table, response)))
    .messages(13, extensions(value))
}

function response(value: Schema): MessageWriter {
  const message = new MessageWriter().text(1, value['description'] as string)
  const body = value['schema'] as Schema | undefined
  if (body !== undefined) message.message(2, new MessageWriter().message(1, schema(body)))
  return new MessageWriter().message(1, message)
}

function parameters(value: Schema): readonly MessageWriter[] {
  const list = (value['parameters'] ?? []) as readonly Schema[]
  return list.map((parameter) => new MessageWriter().message(1, parameterOf(parameter)))
}

function parameterOf(value: Schema): MessageWriter {
  const { name, description } = value as { name: string; description?: string }
  const place = value['in'] as string
  if (place === 'body') {
    const body = new MessageWriter()
      .text(2, name)
      .text(3, place)
      .message(5, schema(value['schema'] as Schema))
    return new MessageWriter().message(1, body)
  }
  const isPath = place === 'path'
  const typed = new MessageWriter()
    .flag(1, value['required'] as boolean | undefined)
    .text(2, place)
    .text(3, description)
    .text(4, name)
    .text(isPath ? 5 : 6, value['type'] as string)
    .flag(isPath ? 19 : 20, value['uniqueItems'] as boolean | undefined)
  return new MessageWriter().message(2, new MessageWriter().message(isPath ? 4 : 3, typed))
}

function schema(value: Schema): MessageWriter {
  const text = (name: string) => value[name] as string | undefined
  const number = (name: string) => value[name] as number | undefined
  const type = text('type')
  const { items, additionalProperties, properties } = value as Readonly<Record<string, Schema | undefined>>
  return new MessageWriter()
    .text(1, text('$ref'))
    .text(2, text('format'))
    .text(4, text('description'))
    .double(7, number('maximum'))
    .double(9, number('minimum'))
    .whole(11, number('maxLength'))
    .whole(12, number('minLength'))
    .text(13, text('pattern'))
    .whole(14, number('maxItems'))
    .whole(15, number('minItems'))
    .whole(17, number('maxProperties'))
    .whole(18, number('minProperties'))
    .texts(19, (value['required'] ?? []) as readonly string[])
    .messages(20, ((value['enum'] ?? []) as readonly string[]).map(anyOf))
    .message(21, additionalProperties && new MessageWriter().message(1, schema(additionalProperties)))
    .message(22, type === undefined ? undefined : new MessageWriter().text(1, type))
    .message(23, items && new MessageWriter().message(1, schema(items)))
    .message(25, properties && new MessageWriter().messages(1, named(properties as unknown as Table, schema)))
    .messages(31, extensions(value))
}

/** JSON is YAML. */
function anyOf(value: unknown): MessageWriter {
  return new MessageWriter().text(2, JSON.stringify(value))
}

function extensions(value: Schema): readonly MessageWriter[] {
  const own = Object.entries(value).filter(([name]) => name.startsWith('x-'))
  return own.map(([name, extension]) => new MessageWriter().text(1, name).message(2, anyOf(extension)))
}
