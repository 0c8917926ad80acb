// What rules change of a request on its way and of the answer on its way back: headers of the route, then of the destination; host; path.
import { isChangeable } from '../../core/decide/http/headers.ts'
import type { Forward } from '../../core/decide/http/route-request.ts'
import type { HeaderChanges } from '../../core/model/routes.ts'
import type { Answer } from '../exchange.ts'
import type { Headers } from '../http/message.ts'
import { ownAnswer } from './answers.ts'
import type { Layer } from './layer.ts'
import type { RequestContext } from './request-context.ts'

/** Of these each value is a field of its own (RFC 9110 section 5.3). */
const separate: ReadonlySet<string> = new Set(['set-cookie'])

type Change = (headers: Headers) => void

/** In the order of core/decide/http/headers.ts: what is removed, set, added. Undefined where nothing changes. */
function changesOf(...all: readonly (HeaderChanges | undefined)[]): Change | undefined {
  const steps = all.flatMap((changes): readonly Change[] => {
    if (changes === undefined) return []
    const lower = (name: string) => name.toLowerCase()
    const changeable = ({ name }: { readonly name: string }) => isChangeable(name)
    return [
      ...changes.remove.filter(isChangeable).map(
        (name): Change =>
          (headers) =>
            void headers.delete(lower(name)),
      ),
      ...changes.set.filter(changeable).map(
        ({ name, value }): Change =>
          (headers) =>
            headers.set(lower(name), value),
      ),
      ...changes.add.filter(changeable).map(
        ({ name, value }): Change =>
          (headers) =>
            add(headers, lower(name), value),
      ),
    ]
  })
  if (steps.length === 0) return undefined
  return (headers) => {
    for (const step of steps) step(headers)
  }
}

/** Behind what is there already: `old,new` (Gateway API conformance). */
function add(headers: Headers, name: string, value: string): void {
  const before = separate.has(name) ? [] : headers.all(name)
  if (before.length === 0) headers.add(name, value)
  else headers.set(name, [...before, value].join(','))
}

/** Before a query that the author wrote. */
const dotSegment = /^[^?]*\/(?:\.|%2e){1,2}(?:[/?\\]|%2f|%5c|$)/i

/**
 * Of the path that policy saw the endpoint would make another one: a rule that replaces the prefix `/public` by `/files/` and takes
 * `/public../secret` would send `/files/../secret`.
 */
function escapes(request: RequestContext): Promise<Answer> {
  const text = 'the path, as a rule rewrites it, has dot segments'
  request.reason = text
  return Promise.resolve(ownAnswer(request.exchange, { status: 400, grpcStatus: 13, text }))
}

export function requestRewriting({ route, destination, rewritePath, host }: Forward): Layer | undefined {
  const change = changesOf(route.filters.request, destination.filters.request)
  if (change === undefined && rewritePath === undefined && host === undefined) return undefined
  return (next) => (request) => {
    const { head } = request.exchange
    change?.(head.headers)
    if (host !== undefined) head.authority = host
    if (rewritePath !== undefined) {
      const path = rewritePath(request.path)
      if (dotSegment.test(path) && request.deps.pathNormalization !== 'NONE') return escapes(request)
      head.path = request.query === undefined || path.includes('?') ? path : `${path}?${request.query}`
    }
    return next(request)
  }
}

export function responseChanges(...all: readonly (HeaderChanges | undefined)[]): Layer | undefined {
  const change = changesOf(...all)
  if (change === undefined) return undefined
  return (next) => async (request) => {
    const answer = await next(request)
    change(answer.head.headers)
    return answer
  }
}
