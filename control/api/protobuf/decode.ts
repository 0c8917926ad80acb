// Request bodies of type application/vnd.kubernetes.protobuf, as the JSON value that they stand for. body.ts calls it.
import { ApiError } from '../errors.ts'
import { type FieldType, type MessageTable, messages } from './messages.ts'
import { readFields, type WireField } from './wire.ts'

export const protobufType = 'application/vnd.kubernetes.protobuf'

/** `k8s` and a zero byte open every body (apimachinery, `serializer/protobuf`). */
const magic = Buffer.from('k8s\0')

/** Envelope (`runtime.Unknown`): what is inside, and its bytes. */
const envelopeTable: MessageTable = { 1: ['typeMeta', { 1: ['apiVersion', 'string'], 2: ['kind', 'string'] }] }

/** Throws BadRequest where the bytes are no message, UnsupportedMediaType where the kind is not read in this form. */
export function decodeProtobuf(body: Buffer): unknown {
  if (!body.subarray(0, magic.length).equals(magic))
    throw new ApiError('BadRequest', 'the body is not Kubernetes protobuf')
  try {
    const fields = readFields(body.subarray(magic.length))
    const { typeMeta = {} } = decodeMessage(fields, envelopeTable) as { typeMeta?: Record<string, string> }
    const { apiVersion = '', kind = '' } = typeMeta
    const name = `${apiVersion} ${kind}`
    const table = Object.hasOwn(messages, name) ? messages[name] : undefined
    if (table === undefined) {
      const message = `${kind} of "${apiVersion}" is not read as ${protobufType}: send JSON or YAML`
      throw new ApiError('UnsupportedMediaType', message)
    }
    const raw = fields.findLast(({ field }) => field === 2)?.value
    if (typeof raw === 'number') throw new RangeError('the envelope holds no message')
    return { apiVersion, kind, ...decodeMessage(raw === undefined ? [] : readFields(raw), table) }
  } catch (cause: unknown) {
    if (cause instanceof ApiError) throw cause
    throw new ApiError('BadRequest', `the body is not Kubernetes protobuf: ${(cause as Error).message}`, { cause })
  }
}

function decodeMessage(fields: readonly WireField[], table: MessageTable): Record<string, unknown> {
  const decoded = new Map<string, unknown>()
  for (const { field, value } of fields) {
    const row = table[field]
    if (row === undefined) continue
    const [name, type] = row
    const next = decodeField(value, type, decoded.get(name))
    if (next !== undefined) decoded.set(name, next)
  }
  return Object.fromEntries(decoded)
}

function decodeField(value: number | Buffer, type: FieldType, before: unknown): unknown {
  if (typeof type === 'object') {
    const message = asBytes(value)
    if (!isList(type)) return decodeMessage(readFields(message), type)
    return [...((before ?? []) as readonly unknown[]), decodeMessage(readFields(message), type[0])]
  }
  switch (type) {
    case 'strings':
      return [...((before ?? []) as readonly string[]), asBytes(value).toString()]
    case 'string-map':
      return { ...(before as object), ...entryOf(asBytes(value), (bytes) => bytes.toString()) }
    case 'bytes-map':
      return { ...(before as object), ...entryOf(asBytes(value), (bytes) => bytes.toString('base64')) }
    case 'time':
      return timeOf(asBytes(value))
    case 'int-or-string':
      return intOrString(asBytes(value))
    default:
      return scalarOf(value, type)
  }
}

function isList(type: MessageTable | readonly [MessageTable]): type is readonly [MessageTable] {
  return Array.isArray(type)
}

function scalarOf(value: number | Buffer, type: string): unknown {
  const kept = type.endsWith('?')
  if (type.startsWith('string')) {
    const text = asBytes(value).toString()
    return text === '' && !kept ? undefined : text
  }
  if (typeof value !== 'number') throw new RangeError('a number was expected')
  if (value === 0 && !kept) return undefined
  return type.startsWith('bool') ? value !== 0 : value
}

function asBytes(value: number | Buffer): Buffer {
  if (typeof value === 'number') throw new RangeError('text or a message was expected')
  return value
}

function entryOf(bytes: Buffer, read: (value: Buffer) => string): Record<string, string> {
  const fields = readFields(bytes)
  const part = (wanted: number) => asBytes(fields.find(({ field }) => field === wanted)?.value ?? Buffer.alloc(0))
  return Object.fromEntries([[part(1).toString(), read(part(2))]])
}

/** `metav1.Time`: seconds and nanoseconds; the zero time is an empty message. */
function timeOf(bytes: Buffer): string | undefined {
  const seconds = readFields(bytes).find(({ field }) => field === 1)?.value
  if (typeof seconds !== 'number') return undefined
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}

function intOrString(bytes: Buffer): number | string | undefined {
  const fields = new Map(readFields(bytes).map(({ field, value }) => [field, value]))
  const text = fields.get(3)
  if (fields.get(1) === 1) return Buffer.isBuffer(text) ? text.toString() : ''
  const number = fields.get(2)
  return typeof number === 'number' && number !== 0 ? number : undefined
}
