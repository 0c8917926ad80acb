// Writes an answer to its response: JSON or YAML, compressed where it is large and the client can, warnings, HEAD. The HTTP shell
// (handler.ts) calls it for every answer that is not a watch.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { encode, prefersYaml } from './representation.ts'
import type { ApiAnswer } from './request.ts'

/** As in Kubernetes: below this, compressing costs more than it saves. */
const compressFromBytes = 128 * 1024

/** A client shows a few warnings, not hundreds; then the last one says how many more there are. */
const maxWarnings = 20

const compress = promisify(gzip)

/** Resolves once the answer is handed to the socket; a client that is gone is no error. */
export async function writeAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: ApiAnswer,
): Promise<void> {
  const encoded = textOf(request, answer)
  const warnings = fewest(answer.warnings ?? []).map(warningHeader)
  if (warnings.length > 0) response.setHeader('warning', warnings)
  response.setHeader('content-type', encoded.type)
  response.setHeader('cache-control', 'no-cache, private')
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value)
  if (request.method === 'HEAD' || answer.status === 304) {
    response.writeHead(answer.status)
    response.end()
    return
  }
  const bytes = typeof encoded.text === 'string' ? Buffer.from(encoded.text) : encoded.text
  const compressed = bytes.length >= compressFromBytes && acceptsGzip(request) ? await compress(bytes) : undefined
  if (compressed !== undefined) {
    response.setHeader('content-encoding', 'gzip')
    response.appendHeader('vary', 'accept-encoding')
  }
  const body = compressed ?? bytes
  response.setHeader('content-length', body.length)
  response.writeHead(answer.status)
  response.end(body)
}

function textOf(
  request: IncomingMessage,
  answer: ApiAnswer,
): { readonly type: string; readonly text: string | Buffer } {
  const { body, type } = answer
  if ((typeof body === 'string' || Buffer.isBuffer(body)) && type !== undefined) return { type, text: body }
  const encoded = encode(answer.body, prefersYaml(request.headers.accept) ? 'yaml' : 'json')
  return answer.type === undefined ? encoded : { ...encoded, type: answer.type }
}

function acceptsGzip(request: IncomingMessage): boolean {
  const accepted = String(request.headers['accept-encoding'] ?? '')
  return /(?:^|[\s,])gzip(?!\s*;\s*q=0(?:\.0*)?(?:,|$))/i.test(accepted)
}

function fewest(warnings: readonly string[]): readonly string[] {
  if (warnings.length <= maxWarnings) return warnings
  const shown = warnings.slice(0, maxWarnings - 1)
  return [...shown, `and ${warnings.length - shown.length} more warnings`]
}

/** RFC 7234 §5.5, code 299, as Kubernetes sends them; header values are ASCII without quotes inside. */
function warningHeader(warning: string): string {
  const safe = warning.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')
  return `299 - "${safe.slice(0, 500)}"`
}
