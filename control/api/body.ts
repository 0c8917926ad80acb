// Request bodies: bounded reading, JSON or YAML by content type, duplicate keys told and endless nesting refused in both.
import type { IncomingMessage } from 'node:http'
import { readSingle } from '../../core/model/manifest.ts'
import { formatPath, formatProblem } from '../../core/model/problem.ts'
import { ApiError } from './errors.ts'
import { depthProblem, jsonFaults } from './json.ts'
import { decodeProtobuf, protobufType } from './protobuf/decode.ts'

/** As in Kubernetes. */
export const maxBodyBytes = 3 * 1024 * 1024

/** Reading YAML takes ten times as long as JSON and a hundred times its size in memory; kubectl sends JSON whatever its files are. */
export const maxYamlBytes = 512 * 1024

/** Of all requests that are being answered: thousands of clients that send slowly must not fill the memory. */
const maxHeldBytes = 128 * 1024 * 1024

/** Takes bytes from what all bodies together may hold; throws TooManyRequests. */
export type Reserve = (bytes: number) => void

/** The bytes of all bodies that are held at once. handler.ts has one, and opens it for each request. */
export class HeldBodies {
  #held = 0
  readonly #most: number

  constructor(most = maxHeldBytes) {
    this.#most = most
  }

  open(): { readonly reserve: Reserve; release(): void } {
    let own = 0
    return {
      reserve: (bytes) => {
        if (this.#held + bytes > this.#most) {
          const details = { retryAfterSeconds: 1 }
          throw new ApiError('TooManyRequests', 'too many requests, please try again later', { details })
        }
        this.#held += bytes
        own += bytes
      },
      release: () => {
        this.#held -= own
        own = 0
      },
    }
  }
}

/** What is thrown away behind a refused request, so that the client reads the answer instead of a broken pipe. */
const maxDiscardedBytes = 64 * 1024 * 1024
const maxDiscardMs = 5000

/** The whole body as text; empty where there is none. Throws RequestEntityTooLarge, UnsupportedMediaType, BadRequest. */
async function readText(request: IncomingMessage, reserve: Reserve): Promise<string> {
  return decodeUtf8(await readBody(request, reserve))
}

async function readBody(request: IncomingMessage, reserve: Reserve): Promise<Buffer> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new ApiError(
      'UnsupportedMediaType',
      `content encoding "${encoding}" is not supported: send the body as it is`,
    )
  }
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge()
  return readBytes(request, reserve)
}

async function readBytes(request: IncomingMessage, reserve: Reserve): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  try {
    // the answer still has to leave through the socket of a request that is too large
    for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += piece.length
      if (size > maxBodyBytes) throw tooLarge()
      reserve(piece.length)
      pieces.push(piece)
    }
  } catch (cause: unknown) {
    if (cause instanceof ApiError) throw cause
    throw new ApiError('BadRequest', 'the body ended early', { cause })
  }
  return Buffer.concat(pieces)
}

function tooLarge(): ApiError {
  return new ApiError('RequestEntityTooLarge', `the body is larger than ${maxBodyBytes} bytes`)
}

/** Lets a client that is still sending finish, within limits: a reset would overtake the answer. */
export function discardRest(request: IncomingMessage): void {
  let bytes = 0
  const stop = (): void => {
    request.socket.destroy()
  }
  const timer = setTimeout(stop, maxDiscardMs).unref()
  request.once('close', () => clearTimeout(timer))
  request.once('end', () => clearTimeout(timer))
  request.on('data', (piece: Buffer) => {
    bytes += piece.length
    if (bytes > maxDiscardedBytes) stop()
  })
  request.resume()
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause: unknown) {
    throw new ApiError('BadRequest', 'the body is not UTF-8', { cause })
  }
}

/** `application/json` of `application/json; charset=utf-8`. */
export function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase()
}

/** A parsed body, and what of it JSON and YAML readers usually pass over in silence. */
export interface BodyDocument {
  /** undefined where the body is empty. */
  readonly value: unknown
  /** Paths of keys that stand twice in one object; the last one is in `value`. */
  readonly duplicates: readonly string[]
}

/** JSON, and the patches that are JSON whatever they mean. */
const jsonTypes = [
  'application/json',
  'application/merge-patch+json',
  'application/json-patch+json',
  'application/strategic-merge-patch+json',
  '',
]
const yamlTypes = ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml', 'application/apply-patch+yaml']

/** The body by its content type. Throws RequestEntityTooLarge, UnsupportedMediaType, BadRequest. */
export async function readDocument(request: IncomingMessage, reserve: Reserve): Promise<BodyDocument> {
  const type = mediaType(request)
  if (type === protobufType) {
    const body = await readBody(request, reserve)
    return { value: body.length === 0 ? undefined : decodeProtobuf(body), duplicates: [] }
  }
  const known = jsonTypes.includes(type) || yamlTypes.includes(type)
  if (!known) throw new ApiError('UnsupportedMediaType', `content type "${type}" is not supported: send JSON or YAML`)
  const text = await readText(request, reserve)
  if (text.trim() === '') return { value: undefined, duplicates: [] }
  return yamlTypes.includes(type) ? parseYaml(text) : parseJson(text)
}

/** The value in the body, for what has no use for duplicate keys. */
export async function readValue(request: IncomingMessage, reserve: Reserve): Promise<unknown> {
  const { value, duplicates } = await readDocument(request, reserve)
  refuseDuplicates(duplicates)
  return value
}

/** Throws BadRequest where a key stands twice. */
export function refuseDuplicates(duplicates: readonly string[]): void {
  if (duplicates.length === 0) return
  const keys = duplicates.map((path) => `"${path}"`).join(', ')
  throw new ApiError('BadRequest', `the body has the key ${keys} twice in one object`)
}

function parseJson(text: string): BodyDocument {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause: unknown) {
    throw new ApiError('BadRequest', `the body is not JSON: ${(cause as Error).message}`, { cause })
  }
  const { tooDeep, duplicates } = jsonFaults(text)
  if (tooDeep) throw new ApiError('BadRequest', `the body ${depthProblem()}`)
  return { value, duplicates }
}

function parseYaml(text: string): BodyDocument {
  // kubectl sends JSON as YAML; reading it as JSON is many times faster
  if (text.trimStart().startsWith('{') && isJsonText(text)) return parseJson(text)
  if (Buffer.byteLength(text) > maxYamlBytes) {
    const message = `the body is larger than ${maxYamlBytes} bytes of YAML: send it as JSON`
    throw new ApiError('RequestEntityTooLarge', message)
  }
  const read = readSingle(text, 'body', false)
  if ('problems' in read) throw new ApiError('BadRequest', read.problems.map(formatProblem).join('; '))
  return { value: read.value, duplicates: read.duplicates().map(formatPath) }
}

function isJsonText(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
