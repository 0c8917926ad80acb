// CORS: answers preflights, and lets other origins read the answers that they may. https://fetch.spec.whatwg.org/#http-cors-protocol
// as HTTPCORSFilter and Istio's corsPolicy have it.
import { textTest } from '../../core/decide/http/match.ts'
import type { CorsPolicy, OriginMatch } from '../../core/model/routes.ts'
import type { Headers } from '../http/message.ts'
import { ownAnswer } from './answers.ts'
import type { Layer } from './layer.ts'

export function cors(policy: CorsPolicy | undefined): Layer | undefined {
  if (policy === undefined) return undefined
  const tests = policy.origins.map(originTest)
  return (next) => async (request) => {
    const { headers } = request.exchange.head
    const origin = headers.get('origin')
    if (origin === undefined) return next(request)
    const allowed = tests.some((test) => test(origin))
    const wanted = request.method === 'OPTIONS' ? headers.get('access-control-request-method') : undefined
    if (wanted !== undefined && (allowed || !policy.forwardUnmatched)) {
      const answer = ownAnswer(request.exchange, { status: 200, grpcStatus: 0 })
      if (allowed) preflight(answer.head.headers, policy, origin, wanted, headers.get('access-control-request-headers'))
      return answer
    }
    const answer = await next(request)
    if (allowed) {
      readable(answer.head.headers, policy, origin)
      if (policy.expose.length > 0) answer.head.headers.set('access-control-expose-headers', policy.expose.join(', '))
    }
    return answer
  }
}

function originTest(match: OriginMatch): (origin: string) => boolean {
  if (match.kind !== 'wildcard') return textTest(match)
  const { before, after } = match
  const shortest = before.length + after.length
  return (origin) => origin.length > shortest && origin.startsWith(before) && origin.endsWith(after)
}

function preflight(
  headers: Headers,
  policy: CorsPolicy,
  origin: string,
  method: string,
  wanted: string | undefined,
): void {
  readable(headers, policy, origin)
  const methods = listed(policy.methods, policy.credentials, method)
  const fields = listed(policy.headers, policy.credentials, wanted)
  if (methods !== undefined) headers.set('access-control-allow-methods', methods)
  if (fields !== undefined) headers.set('access-control-allow-headers', fields)
  if (policy.maxAgeSeconds !== undefined)
    headers.set('access-control-max-age', String(Math.floor(policy.maxAgeSeconds)))
}

/** With credentials a browser takes `*` literally: what it asks for stands in its place. */
function listed(names: readonly string[], credentials: boolean, wanted: string | undefined): string | undefined {
  if (names.length === 0) return undefined
  return names.includes('*') ? (credentials ? wanted : '*') : names.join(', ')
}

function readable(headers: Headers, policy: CorsPolicy, origin: string): void {
  const open = !policy.credentials && policy.origins.some(({ kind }) => kind === 'present')
  headers.set('access-control-allow-origin', open ? '*' : origin)
  if (policy.credentials) headers.set('access-control-allow-credentials', 'true')
  else headers.delete('access-control-allow-credentials')
  if (!open && !names(headers.all('vary'), 'origin')) headers.add('vary', 'origin')
}

function names(values: readonly string[], name: string): boolean {
  return values.some((value) => value.split(',').some((part) => part.trim().toLowerCase() === name))
}
