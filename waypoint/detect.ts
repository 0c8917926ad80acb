// Which protocol a client speaks, from its first bytes: HTTP/2 with prior knowledge, HTTP/1, or something else. Whatever a lenient server
// could take for HTTP is HTTP here, so that no misspelt request slips past the rules of layer 7 as raw TCP. Used by client-connection.ts.
import { METHODS } from 'node:http'

export type Protocol = 'http1' | 'http2' | 'tcp'

/**
 * What is known of a port: `http` tells only HTTP/1 and HTTP/2 apart, `tcp` looks at nothing, `client-first` tells all three apart, but
 * takes no silence for an answer.
 */
export type ProtocolHint = 'http' | 'tcp' | 'client-first'

/** RFC 9113 3.4. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
/** A first line without an end in so many bytes is none of HTTP that anybody serves. */
const longestLine = 16_384
const lineFeed = 10
const methods = new Set(METHODS.map((method) => method.toLowerCase()))

/** The protocol; undefined while more bytes could change it. `late`: no more are waited for. */
export function protocolOf(bytes: Buffer, hint: ProtocolHint | undefined, late = false): Protocol | undefined {
  if (hint === 'tcp') return 'tcp'
  if (bytes.length === 0) return late && hint === undefined ? 'tcp' : undefined
  const compared = Math.min(bytes.length, preface.length)
  if (bytes.compare(preface, 0, compared, 0, compared) === 0) {
    if (compared === preface.length) return 'http2'
    return late ? 'http1' : undefined
  }
  if (hint === 'http') return 'http1'
  // One that begins like a request and then stalls must not get past as something else.
  return firstLine(bytes) ?? (late ? 'http1' : undefined)
}

function firstLine(bytes: Buffer): Protocol | undefined {
  const start = afterBlanks(bytes)
  if (start === bytes.length) return start > longestLine ? 'tcp' : undefined
  if (!isLetter(bytes[start]!)) return 'tcp'
  const lineEnd = bytes.indexOf(lineFeed, start)
  const end = Math.min(lineEnd < 0 ? bytes.length : lineEnd, start + longestLine)
  const line = bytes.toString('latin1', start, end)
  const method = begins.exec(line)?.[1]?.toLowerCase()
  if (method !== undefined && methods.has(method)) return 'http1'
  if (/http\//i.test(line)) return 'http1'
  if (lineEnd >= 0 || end - start >= longestLine || binary.test(line)) return 'tcp'
  return undefined
}

/** A method and the beginning of a target, however they are kept apart: Python's servers split at any of these. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const begins = /^([A-Za-z_-]{1,32})[\t\x0b\x0c\r\x1c-\x20\x85\xa0]+(?:[/*]|https?:)/i
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const binary = /[\x00-\x08\x0e-\x1b\x7f]/

/** Empty lines and spaces, which servers skip. */
function afterBlanks(bytes: Buffer): number {
  let at = 0
  while (at < bytes.length && isBlank(bytes[at]!)) at += 1
  return at
}

function isBlank(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13)
}

function isLetter(byte: number): boolean {
  return (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
}

const httpNames = new Set(['http', 'http2', 'grpc', 'grpc-web', 'kubernetes.io/h2c', 'kubernetes.io/ws'])
/** Encrypted ones, too: nobody here can look into them. */
const tcpNames = new Set(['tcp', 'tls', 'https', 'mongo', 'mysql', 'redis', 'kubernetes.io/wss'])

/** From a Service's port as Istio reads it: `appProtocol`, else the name up to its first `-`. Undefined: has to be detected. */
export function hintOf(portName: string, appProtocol?: string): ProtocolHint | undefined {
  const known = (
    appProtocol ?? (portName.startsWith('grpc-web') ? 'grpc-web' : portName.split('-', 1)[0]!)
  ).toLowerCase()
  if (httpNames.has(known)) return 'http'
  return tcpNames.has(known) ? 'tcp' : undefined
}

const http2Names = new Set(['http2', 'grpc', 'kubernetes.io/h2c'])

/** Whether the endpoints of a port take HTTP/2, whatever their callers speak (GEP-1911). */
export function takesHttp2(appProtocol: string | undefined): boolean {
  return appProtocol !== undefined && http2Names.has(appProtocol.toLowerCase())
}
