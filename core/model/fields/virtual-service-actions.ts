// What a VirtualService does with a request besides sending it on: answer, redirect, rewrite, retry, fail, CORS. Parts of
// virtual-service-http.ts.
import { percentage } from './destination.ts'
import { duration, durationMs, positiveDuration } from './duration.ts'
import { asWhole, ignored, type ObjectCheck, type ObjectField } from './field.ts'
import { hostOrAddress } from './hosts.ts'
import { headerName } from './http-headers.ts'
import { atMostOne, flag, int32, oneOf, port, text, texts, whole } from './parts.ts'
import { clip } from './rules.ts'
import { originMatch, re2 } from './string-match.ts'

/** A text that stands for nothing where it is empty, as protobuf has it. */
const isSet = (value: unknown): boolean => value !== undefined && value !== ''

function needsOne(what: string, ...names: readonly string[]): ObjectCheck {
  return (value, report) => {
    if (!names.some((name) => isSet(value[name]))) report([], `${what}: set one of ${names.join(', ')}`, 'required')
  }
}

function notTogether(first: string, second: string): ObjectCheck {
  return (value, report) => {
    if (isSet(value[first]) && isSet(value[second])) report([second], `cannot be combined with ${first}`)
  }
}

const grpcCodes: readonly string[] =
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED'.split(
    ' ',
  )

export const fault = {
  type: 'object',
  text: 'Failures made on purpose.',
  use: asWhole,
  checks: [needsOne('has no effect', 'delay', 'abort')],
  fields: {
    delay: {
      type: 'object',
      text: 'Requests are held back.',
      use: asWhole,
      rules: [oneOf('fixedDelay', 'exponentialDelay')],
      fields: {
        fixedDelay: duration('How long.'),
        exponentialDelay: duration('A delay that grows.', {
          use: ignored('exponentialDelay has no effect: use fixedDelay'),
        }),
        percentage: { ...percentage, text: 'Share of the requests; none where absent.' },
        percent: whole('Older form of percentage, without fractions.', 0, 100),
      },
    },
    abort: {
      type: 'object',
      text: 'Requests are answered with an error.',
      use: asWhole,
      rules: [oneOf('httpStatus', 'grpcStatus', 'http2Error')],
      fields: {
        httpStatus: whole('HTTP status of the answer.', 200, 599),
        grpcStatus: text('Status of gRPC in the answer, for example NOT_FOUND.', {
          check: (value: string) =>
            grpcCodes.includes(value) ? undefined : `"${clip(value)}" is not one of ${grpcCodes.join(', ')}`,
        }),
        http2Error: text('HTTP/2 error.', {
          use: ignored('http2Error has no effect: use httpStatus or grpcStatus'),
        }),
        percentage: { ...percentage, text: 'Share of the requests; none where absent.' },
      },
    },
  },
} as const satisfies ObjectField

const corsMethods: readonly string[] = 'GET HEAD POST PUT PATCH DELETE CONNECT OPTIONS TRACE *'.split(' ')

const corsMethod = (value: string): string | undefined =>
  corsMethods.includes(value) ? undefined : `"${clip(value)}" is not one of ${corsMethods.join(', ')}`

/** Access-Control-Max-Age has whole seconds. */
function wholeSeconds(value: string): string | undefined {
  const wrong = positiveDuration(value)
  if (wrong !== undefined) return wrong
  return durationMs(value)! % 1000 === 0 ? undefined : `"${clip(value)}" is not a number of whole seconds`
}

export const corsPolicy = {
  type: 'object',
  text: 'Which pages of other origins may call (CORS).',
  use: asWhole,
  fields: {
    allowOrigins: {
      type: 'list',
      text: 'Origins of which one must match.',
      use: asWhole,
      item: originMatch('One origin.'),
    },
    allowOrigin: texts('Older form of allowOrigins, with exact values.'),
    allowMethods: texts('Methods that may be used.', corsMethod),
    allowHeaders: texts('Headers that may be sent.', headerName),
    exposeHeaders: texts('Headers of the response that the page may read.', headerName),
    maxAge: text('How long the answer to a preflight holds, in whole seconds.', { check: wholeSeconds }),
    allowCredentials: flag('Whether cookies and the like may be sent.'),
    unmatchedPreflights: {
      type: 'enum',
      text: 'Whether preflights of other origins reach the service; FORWARD where absent.',
      use: asWhole,
      values: ['UNSPECIFIED', 'FORWARD', 'IGNORE'],
    },
  },
} as const satisfies ObjectField

const redirectCodes: readonly number[] = [0, 301, 302, 303, 307, 308]

const redirectCode: ObjectCheck = (redirect, report) => {
  const { redirectCode: code = 0 } = redirect as { readonly redirectCode?: number }
  if (redirectCodes.includes(code)) return
  report(['redirectCode'], `${code} is not one of ${redirectCodes.slice(1).join(', ')}`)
}

export const redirect = {
  type: 'object',
  text: 'The client is sent elsewhere.',
  use: asWhole,
  rules: [atMostOne('port', 'derivePort')],
  checks: [
    needsOne(
      'leads to where the request came from',
      'uri',
      'prefixRewrite',
      'authority',
      'scheme',
      'port',
      'derivePort',
    ),
    notTogether('uri', 'prefixRewrite'),
    redirectCode,
  ],
  fields: {
    uri: text('Path instead of that of the request.'),
    prefixRewrite: text('What takes the place of the matched prefix.'),
    authority: text('Host instead of that of the request.'),
    scheme: text('Scheme: http or https.', {
      check: (value: string) =>
        ['', 'http', 'https'].includes(value) ? undefined : `"${clip(value)}" is neither http nor https`,
    }),
    port: port('Port instead of that of the request.'),
    derivePort: {
      type: 'enum',
      text: 'Port by the scheme, or that of the request.',
      use: asWhole,
      values: ['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'],
    },
    redirectCode: whole('One of 301, 302, 303, 307 and 308; 301 where absent.', 0, 308),
  },
} as const satisfies ObjectField

/** Istio's bound; larger bodies would travel to every waypoint with each change. */
const maxBody = 1_048_576

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

export const directResponse = {
  type: 'object',
  text: 'The waypoint answers itself.',
  use: asWhole,
  fields: {
    status: whole('HTTP status of the answer.', 200, 599, { required: true }),
    body: {
      type: 'object',
      text: 'Body of the answer; none where absent.',
      use: asWhole,
      rules: [oneOf('string', 'bytes')],
      fields: {
        string: text('Body as text.', {
          check: (value: string) =>
            Buffer.byteLength(value) <= maxBody
              ? undefined
              : `is larger than ${maxBody} bytes: serve it from a service`,
        }),
        bytes: text('Body in base64.', {
          format: 'byte',
          check: (value: string) => {
            if (!base64.test(value)) return `"${clip(value)}" is not base64`
            return value.length * 0.75 <= maxBody
              ? undefined
              : `is larger than ${maxBody} bytes: serve it from a service`
          },
        }),
      },
    },
  },
} as const satisfies ObjectField

const retryConditions: readonly string[] =
  '5xx gateway-error reset reset-before-request connect-failure retriable-4xx refused-stream retriable-status-codes retriable-headers envoy-ratelimited http3-post-connect-failure cancelled deadline-exceeded internal resource-exhausted unavailable'.split(
    ' ',
  )

function retryOn(value: string): string | undefined {
  if (value === '') return undefined
  const wrong = value
    .split(',')
    .map((part) => part.trim())
    .find((part) => !retryConditions.includes(part) && !/^[1-5]\d\d$/.test(part))
  if (wrong === undefined) return undefined
  return `"${clip(wrong)}" is neither an HTTP status nor one of ${retryConditions.join(', ')}`
}

/** Istio's rule: without attempts the rest has no effect. */
const attemptsNeeded: ObjectCheck = (retries, report) => {
  if (((retries['attempts'] as number | undefined) ?? 0) > 0) return
  const set = ['perTryTimeout', 'retryOn', 'retryRemoteLocalities'].find((name) => isSet(retries[name]))
  if (set !== undefined) report([set], 'has no effect without retries: set attempts to at least 1, or remove it')
}

export const retries = {
  type: 'object',
  text: 'Requests that failed are sent again.',
  use: asWhole,
  checks: [attemptsNeeded],
  fields: {
    attempts: whole('How often at most, besides the first time; 0 switches retries off.', 0, int32),
    perTryTimeout: duration('Timeout of one attempt; that of the route where absent.'),
    retryOn: text('Conditions and HTTP statuses, separated by commas.', { check: retryOn }),
    retryRemoteLocalities: flag('Whether other localities are tried too.'),
    retryIgnorePreviousHosts: flag('Whether endpoints that failed are avoided; true where absent.'),
    backoff: duration('Base of the pause before an attempt; 25ms where absent.'),
  },
} as const satisfies ObjectField

export const rewrite = {
  type: 'object',
  text: 'The request is changed before it is sent on.',
  use: asWhole,
  checks: [needsOne('changes nothing', 'uri', 'uriRegexRewrite', 'authority'), notTogether('uri', 'uriRegexRewrite')],
  fields: {
    uri: text('What takes the place of the path, or of the matched prefix.'),
    authority: text('Host instead of that of the request.', {
      check: (value: string) => (value === '' ? undefined : hostOrAddress(value.replace(/:\d{1,5}$/, ''))),
    }),
    uriRegexRewrite: {
      type: 'object',
      text: 'Changes what an expression finds in the path.',
      use: asWhole,
      checks: [needsOne('finds nothing', 'match'), needsOne('has nothing to put in its place', 'rewrite')],
      fields: {
        match: text('A regular expression (RE2).', {
          check: (value: string) => (value === '' ? undefined : re2(value)),
        }),
        rewrite: text('What takes the place of what was found; \\1 to \\9 are its groups.'),
      },
    },
  },
} as const satisfies ObjectField
