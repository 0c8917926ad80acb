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

/** The headers that mean something to a mesh; a repeated one counts as absent. */
function readHeaders(fields: readonly HeaderField[]): TunnelHeaders {
  const found: { baggage?: string; forwarded?: string; traceparent?: string } = {}
  let repeated: Set<string> | undefined
  for (const [name, value] of fields) {
    if (name !== 'baggage' && name !== 'forwarded' && name !== 'traceparent') continue
    if (found[name] === undefined && repeated?.has(name) !== true) found[name] = value
    else {
      delete found[name]
      repeated = (repeated ?? new Set()).add(name)
    }
  }
  return found
}

const connectMethod: HeaderField = [':method', 'CONNECT']

/** Throws TUNNEL_BAD_REQUEST where `authority` cannot be sent. */
export function requestFields({ authority, headers }: ConnectRequest): readonly HeaderField[] {
  if (!isSendable(authority)) throw new MeshError('TUNNEL_BAD_REQUEST', 'CONNECT without a proper authority')
  return [connectMethod, [':authority', authority], ...headerFields(headers)]
}

export function answerFields(status: number, headers: TunnelHeaders | undefined): readonly HeaderField[] {
  return [[':status', String(status)], ...headerFields(headers)]
}

/** A header that cannot be sent is left out: they inform, and no connection depends on them. */
function headerFields(headers: TunnelHeaders | undefined): HeaderField[] {
  const fields: HeaderField[] = []
  for (const name of ['baggage', 'forwarded', 'traceparent'] as const) {
    const value = headers?.[name]
    if (value !== undefined && isSendable(value)) fields.push([name, value])
  }
  return fields
}
