// What CONNECT and its answer look like as header fields, both ways. Called by server-session.ts, incoming.ts and client.ts.
import { MeshError } from '../base/errors.ts'
import type { HeaderField } from './h2/hpack-table.ts'
import { isSendable } from './h2/message.ts'
import type { TunnelHeaders } from './types.ts'

export interface ConnectRequest {
  readonly authority: string
  readonly headers: TunnelHeaders
}

export interface ConnectAnswer {
  readonly status: number
  readonly headers: TunnelHeaders
}

/** Undefined for everything but a plain CONNECT with an authority (RFC 9113 8.5). */
export function readRequest(fields: readonly HeaderField[]): ConnectRequest | undefined {
  let method = ''
  let authority = ''
  for (const [name, value] of fields) {
    if (name === ':method') method = value
    else if (name === ':authority') authority = value
    else if (name.startsWith(':')) return undefined
  }
  return method === 'CONNECT' && authority !== '' ? { authority, headers: readHeaders(fields) } : undefined
}

export function readAnswer(fields: readonly HeaderField[]): ConnectAnswer {
  const status = fields.find(([name]) => name === ':status')?.[1] ?? ''
  return { status: /^\d{3}$/.test(status) ? Number(status) : 0, headers: readHeaders(fields) }
}

type HeaderKey = keyof TunnelHeaders

/** Fields of the wire, in the order in which they are sent. */
const names: Readonly<Record<HeaderKey, string>> = {
  baggage: 'baggage',
  forwarded: 'forwarded',
  traceparent: 'traceparent',
  source: 'x-culvert-source-identity',
}
const keys = Object.keys(names) as readonly HeaderKey[]
const keyByName: ReadonlyMap<string, HeaderKey> = new Map(keys.map((key) => [names[key], key]))

/** The headers that mean something to a mesh; a repeated one counts as absent, but for `source`, which then cannot be believed. */
function readHeaders(fields: readonly HeaderField[]): TunnelHeaders {
  const found: { -readonly [Key in keyof TunnelHeaders]: TunnelHeaders[Key] } = {}
  let repeated: Set<HeaderKey> | undefined
  for (const [name, value] of fields) {
    const key = keyByName.get(name)
    if (key === undefined) continue
    if (found[key] === undefined && repeated?.has(key) !== true) found[key] = value
    else {
      if (key === 'source') found.source = ''
      else delete found[key]
      repeated = (repeated ?? new Set()).add(key)
    }
  }
  return found
}

const connectMethod: HeaderField = [':method', 'CONNECT']

/** Throws TUNNEL_BAD_REQUEST where `authority` or `source` cannot be sent: without `source` the sender would pass for the caller. */
export function requestFields({ authority, headers }: ConnectRequest): readonly HeaderField[] {
  if (!isSendable(authority)) throw new MeshError('TUNNEL_BAD_REQUEST', 'CONNECT without a proper authority')
  if (headers.source !== undefined && !isSendable(headers.source)) {
    throw new MeshError('TUNNEL_BAD_REQUEST', 'CONNECT for a caller without a proper identity')
  }
  return [connectMethod, [':authority', authority], ...headerFields(headers)]
}

export function answerFields(status: number, headers: TunnelHeaders | undefined): readonly HeaderField[] {
  return [[':status', String(status)], ...headerFields(headers)]
}

/** A header that cannot be sent is left out: those inform, and no connection depends on them. */
function headerFields(headers: TunnelHeaders | undefined): HeaderField[] {
  const fields: HeaderField[] = []
  if (headers === undefined) return fields
  for (const key of keys) {
    const value = headers[key]
    if (value !== undefined && isSendable(value)) fields.push([names[key], value])
  }
  return fields
}
