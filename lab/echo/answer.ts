// The JSON answer of the echo workload, in the shape of the Gateway API conformance echo server (echo-basic), plus
// `remoteAddress`, `localAddress` and `node`. Pure functions; http.ts calls them.
import type { IncomingHttpHeaders } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { canonicalAddress } from '../../core/net/address.ts'
import type { EchoContext } from './context.ts'

export interface EchoRequest {
  readonly path: string
  readonly host: string
  readonly method: string
  /** `HTTP/1.1`, `HTTP/2.0`. */
  readonly proto: string
  /** Name and values, as they came. */
  readonly headers: readonly (readonly [string, readonly string[]])[]
  readonly remoteAddress: string
  readonly localAddress: string
  readonly tls?: TlsFacts
}

export interface TlsFacts {
  readonly version: string
  readonly serverName: string
  readonly negotiatedProtocol: string
  readonly cipherSuite: string
}

export interface EchoAnswer {
  readonly path: string
  readonly host: string
  readonly method: string
  readonly proto: string
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly namespace: string
  readonly ingress: string
  readonly service: string
  readonly pod: string
  readonly node: string
  readonly remoteAddress: string
  readonly localAddress: string
  readonly tls?: TlsFacts
}

export function echoAnswer(request: EchoRequest, context: EchoContext): EchoAnswer {
  const headers: Record<string, string[]> = {}
  for (const [name, values] of request.headers) {
    if (name.startsWith(':') || name.toLowerCase() === 'host') continue
    const key = canonicalHeader(name)
    headers[key] = [...(headers[key] ?? []), ...values]
  }
  return {
    path: request.path,
    host: request.host,
    method: request.method,
    proto: request.proto,
    headers,
    namespace: context.namespace,
    ingress: context.ingress,
    service: context.service,
    pod: context.pod,
    node: context.host,
    remoteAddress: request.remoteAddress,
    localAddress: request.localAddress,
    ...(request.tls === undefined ? {} : { tls: request.tls }),
  }
}

/** Go's canonical header form, which the conformance suite compares with: `x-request-id` → `X-Request-Id`. */
export function canonicalHeader(name: string): string {
  return name.toLowerCase().replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase())
}

/** Pairs of raw headers (HTTP/1) into names with values. */
export function pairHeaders(raw: readonly string[]): (readonly [string, readonly string[]])[] {
  const pairs: (readonly [string, readonly string[]])[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) pairs.push([raw[index]!, [raw[index + 1]!]])
  return pairs
}

/** Headers that the caller wants in the answer: `X-Echo-Set-Header: name:value, other:value`. */
export function echoSetHeaders(headers: IncomingHttpHeaders): readonly (readonly [string, string])[] {
  const asked = headers['x-echo-set-header']
  return readFields(Array.isArray(asked) ? asked.join(',') : (asked ?? ''))
}

/** `name:value, other:value`; what could not be sent as a header is left out. */
export function readFields(text: string): readonly (readonly [string, string])[] {
  return text.split(',').flatMap((part) => {
    const at = part.indexOf(':')
    const name = part.slice(0, at).trim()
    const value = part.slice(at + 1).trim()
    const usable = at > 0 && /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) && /^[\t\x20-\x7e]*$/.test(value)
    return usable ? [[name, value] as const] : []
  })
}

/** One end of a socket as `address:port`, IPv4-mapped addresses as IPv4. */
export function formatEnd(address: string | undefined, port: number | undefined): string {
  const canonical = canonicalAddress(address ?? '') ?? ''
  return canonical.includes(':') ? `[${canonical}]:${port ?? 0}` : `${canonical}:${port ?? 0}`
}

export function tlsFacts(socket: TLSSocket): TlsFacts {
  return {
    version: socket.getProtocol() ?? '',
    serverName: typeof socket.servername === 'string' ? socket.servername : '',
    negotiatedProtocol: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : '',
    cipherSuite: socket.getCipher()?.standardName ?? '',
  }
}
