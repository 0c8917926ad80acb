// What a rule of a VirtualService does with its requests besides sending them on, compiled: redirects, rewrites, retries, faults,
// CORS, header changes. Defaults are those that istiod writes.
import { isChangeable } from '../../../core/decide/http/headers.ts'
import { linearRegex } from '../../../core/decide/http/regex.ts'
import { durationMs } from '../../../core/model/fields/duration.ts'
import type {
  CorsPolicy,
  Fault,
  HeaderChanges,
  HeaderValue,
  PathRewrite,
  Redirect,
  RetryPolicy,
  Rewrite,
  RouteAction,
} from '../../../core/model/routes.ts'
import { notFullyEnforced } from '../conditions.ts'
import { partlyInvalid, type Tell } from './findings.ts'
import { textOf, type VirtualRule } from './virtual-service-match.ts'

type Headers = NonNullable<VirtualRule['headers']>
type Part<Name extends keyof VirtualRule> = NonNullable<VirtualRule[Name]>

export function limit(text: string | undefined): number | undefined {
  const ms = text === undefined ? undefined : durationMs(text)
  return ms === 0 ? undefined : ms
}

const isSet = (text: string | undefined): text is string => text !== undefined && text !== ''

export function redirectOf(redirect: Part<'redirect'>): Redirect {
  const { uri, prefixRewrite, authority, scheme, port, derivePort, redirectCode = 0 } = redirect
  const path: PathRewrite | undefined = isSet(uri)
    ? { kind: 'full', value: uri }
    : isSet(prefixRewrite)
      ? { kind: 'matched', value: prefixRewrite }
      : undefined
  const derived =
    derivePort === 'FROM_PROTOCOL_DEFAULT' ? 'scheme' : derivePort === undefined ? 'request' : 'request-port'
  return {
    status: (redirectCode === 0 ? 301 : redirectCode) as Redirect['status'],
    port: port ?? derived,
    ...(isSet(scheme) ? { scheme: scheme as 'http' | 'https' } : {}),
    ...(isSet(authority) ? { host: authority } : {}),
    ...(path === undefined ? {} : { path }),
  }
}

export function answerOf({ status, body }: Part<'directResponse'>): RouteAction {
  if (body?.string !== undefined) return { kind: 'respond', status, body: { kind: 'text', text: body.string } }
  if (body?.bytes !== undefined) return { kind: 'respond', status, body: { kind: 'base64', bytes: body.bytes } }
  return { kind: 'respond', status }
}

/** @param host from `headers.request.set` */
export function rewriteOf(rewrite: VirtualRule['rewrite'], host: string | undefined, where: string, tell: Tell) {
  const { uri, uriRegexRewrite, authority } = rewrite ?? {}
  let path: PathRewrite | undefined
  if (isSet(uri)) path = { kind: 'matched', value: uri }
  else if (isSet(uriRegexRewrite?.match)) {
    path = { kind: 'regex', pattern: uriRegexRewrite.match, value: uriRegexRewrite.rewrite ?? '' }
    const regex = linearRegex(path.pattern, false)
    if ('problem' in regex) {
      tell(
        partlyInvalid(
          `${where}.rewrite.uriRegexRewrite: "${path.pattern}" cannot be used: ${regex.problem}; requests are answered with 503`,
        ),
      )
      return 'broken'
    }
  }
  const target = isSet(authority) ? authority : host
  const found: Rewrite = {
    ...(target === undefined ? {} : { host: target }),
    ...(path === undefined ? {} : { path }),
  }
  return Object.keys(found).length === 0 ? undefined : found
}

/** istiod's: twice, where nothing can have happened yet. */
const defaultConditions = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes'

export function retriesOf(retries: VirtualRule['retries']): RetryPolicy | 'none' {
  const {
    attempts = 0,
    retryOn,
    backoff,
    retryIgnorePreviousHosts = true,
    retryRemoteLocalities = false,
  } = retries ?? {}
  if (retries !== undefined && attempts <= 0) return 'none'
  const conditions = (isSet(retryOn) ? retryOn : defaultConditions).split(',').map((part) => part.trim())
  const statuses = conditions.filter((part) => /^\d+$/.test(part)).map(Number)
  const backoffMs = limit(backoff) ?? 25
  return {
    attempts: retries === undefined ? 2 : attempts,
    statuses: isSet(retryOn) ? statuses : [503],
    conditions: conditions.filter((part) => !/^\d+$/.test(part)),
    backoffMs,
    maxBackoffMs: backoffMs * 10,
    backoffIsMinimum: false,
    avoidPreviousHosts: retryIgnorePreviousHosts,
    remoteLocalities: retryRemoteLocalities,
  }
}

const grpcCodes =
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED'.split(
    ' ',
  )

/** A share that is not written is none; Istio's precision is a millionth. */
export function faultOf({ delay, abort }: Part<'fault'>): Fault {
  const share = (percentage: { readonly value?: number } | undefined, percent?: number): number =>
    Math.round((percentage === undefined ? (percent ?? 0) : (percentage.value ?? 0)) * 10_000) / 1_000_000
  const delayMs = limit(delay?.fixedDelay)
  const aborted = share(abort?.percentage)
  const { httpStatus, grpcStatus } = abort ?? {}
  return {
    ...(delay === undefined || delayMs === undefined
      ? {}
      : { delay: { delayMs, share: share(delay.percentage, delay.percent) } }),
    ...(httpStatus !== undefined
      ? { abort: { status: httpStatus, share: aborted } }
      : isSet(grpcStatus)
        ? { abort: { grpc: grpcCodes.indexOf(grpcStatus), share: aborted } }
        : {}),
  }
}

export function corsOf(cors: Part<'corsPolicy'>): CorsPolicy {
  const maxAge = limit(cors.maxAge)
  const older = (cors.allowOrigin ?? []).map((value) =>
    value === '*' ? ({ kind: 'present' } as const) : ({ kind: 'exact', value } as const),
  )
  const origins = (cors.allowOrigins ?? []).map((origin) =>
    origin.exact === '*' ? ({ kind: 'present' } as const) : textOf(origin),
  )
  return {
    origins: origins.length > 0 ? origins : older,
    methods: cors.allowMethods ?? [],
    headers: cors.allowHeaders ?? [],
    expose: cors.exposeHeaders ?? [],
    ...(maxAge === undefined ? {} : { maxAgeSeconds: maxAge / 1000 }),
    credentials: cors.allowCredentials ?? false,
    forwardUnmatched: cors.unmatchedPreflights !== 'IGNORE',
  }
}

type Changes = NonNullable<Headers['request']>

/** `Host` in `set` is a rewrite of the authority. */
export function headersOf(headers: Headers | undefined, where: string, tell: Tell) {
  const host = Object.entries(headers?.request?.set ?? {}).find(([name]) => name.toLowerCase() === 'host')?.[1]
  const request = changesOf(headers?.request, host !== undefined, `${where}.headers.request`, tell)
  const response = changesOf(headers?.response, false, `${where}.headers.response`, tell)
  return { host, ...(request && { request }), ...(response && { response }) }
}

function changesOf(
  changes: Changes | undefined,
  hostIsRewritten: boolean,
  where: string,
  tell: Tell,
): HeaderChanges | undefined {
  if (changes === undefined) return undefined
  const kept = (name: string): boolean => {
    if (hostIsRewritten && name.toLowerCase() === 'host') return false
    if (isChangeable(name)) return true
    tell(notFullyEnforced('FixedHeader', `${where}: the header ${name} belongs to the connection and is not changed`))
    return false
  }
  const values = (map: Readonly<Record<string, string>> = {}): readonly HeaderValue[] =>
    Object.entries(map)
      .filter(([name]) => kept(name))
      .map(([name, value]) => ({ name, value }))
  return { set: values(changes.set), add: values(changes.add), remove: (changes.remove ?? []).filter(kept) }
}
