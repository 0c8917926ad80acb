// Which requests a rule of an HTTPRoute is for: path, headers, query, method; and header matches, which GRPCRoute has too.
import { asWhole, type ListField, type ObjectCheck, type ObjectField, type ObjectRule } from './field.ts'
import { headerNamed, headerValue } from './gateway-parts.ts'
import { text } from './parts.ts'
import { clip } from './rules.ts'
import { re2 } from './string-match.ts'

export const httpMethods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const

/** Characters of a path as requests carry it (RFC 3986 section 3.3). */
export const gatewayPath = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/

const plainTypes = "['Exact', 'PathPrefix']"

type Path = { readonly type?: string; readonly value?: string }

/** A rule about the value of an Exact or PathPrefix match. */
function plainPath(message: string, wrong: (value: string) => string | undefined): ObjectRule {
  return {
    message,
    check: (path, report) => {
      const { type = 'PathPrefix', value = '/' } = path as Path
      const complaint = type === 'RegularExpression' ? undefined : wrong(value)
      if (complaint !== undefined) report(['value'], `"${clip(value)}" ${complaint}`)
    },
  }
}

const never = 'and would match no request; write the path as it is after normalization'

function contains(part: string): ObjectRule {
  return plainPath(`must not contain '${part}' when type one of ${plainTypes}`, (value) =>
    value.includes(part)
      ? `contains "${part}" ${part === '#' ? 'which is no part of a path; remove it' : never}`
      : undefined,
  )
}

function endsWith(part: string): ObjectRule {
  return plainPath(`must not end with '${part}' when type one of ${plainTypes}`, (value) =>
    value.endsWith(part) ? `ends with "${part}" ${never}` : undefined,
  )
}

const pathRules: readonly ObjectRule[] = [
  plainPath(`value must be an absolute path and start with '/' when type one of ${plainTypes}`, (value) =>
    value.startsWith('/') ? undefined : 'is not an absolute path; start it with "/"',
  ),
  ...['//', '/./', '/../', '%2f', '%2F', '#'].map(contains),
  ...['/..', '/.'].map(endsWith),
  plainPath(`must only contain valid characters (matching ${gatewayPath.source}) for types ${plainTypes}`, (value) =>
    gatewayPath.test(value) || !value.startsWith('/') || value.includes('#')
      ? undefined
      : 'has characters that a path cannot have; write them encoded, a space as %20',
  ),
]

/** What a RegularExpression compares with must be one. */
const expression: ObjectCheck = (match, report) => {
  const { type, value } = match as Path
  const wrong = type === 'RegularExpression' && value !== undefined ? re2(value) : undefined
  if (wrong !== undefined) report(['value'], wrong)
}

export const everyPath = { type: 'PathPrefix', value: '/' } as const

const path = {
  type: 'object',
  text: 'Path of the request.',
  use: asWhole,
  default: everyPath,
  checks: [expression],
  rules: pathRules,
  fields: {
    type: {
      type: 'enum',
      text: 'Exact, PathPrefix by whole segments, or RegularExpression (RE2) for the whole path.',
      use: asWhole,
      values: ['Exact', 'PathPrefix', 'RegularExpression'],
      default: 'PathPrefix',
    },
    value: text('What the path is compared with.', { maxLength: 1024, default: '/' }),
  },
} as const satisfies ObjectField

const matchType = {
  type: 'enum',
  text: 'How the values are compared.',
  use: asWhole,
  values: ['Exact', 'RegularExpression'],
  default: 'Exact',
} as const

/** Names that differ in case only are the same header: of several matches only the first would count. */
const eachNameOnce: ObjectCheck = (match, report) => {
  const seen = new Map<string, number>()
  for (const [index, { name }] of ((match['headers'] ?? []) as readonly { readonly name: string }[]).entries()) {
    const first = seen.get(name.toLowerCase())
    if (first === undefined) seen.set(name.toLowerCase(), index)
    else
      report(
        ['headers', index, 'name'],
        `"${name}" is the header of headers[${first}], and only the first one would count; keep one`,
        'duplicate',
      )
  }
}

export const headerChecks: readonly ObjectCheck[] = [eachNameOnce]

function matchesByName<Name extends object, Value extends object>(what: string, name: Name, value: Value) {
  return {
    type: 'list',
    text: what,
    use: asWhole,
    maxItems: 16,
    listType: 'map',
    mapKeys: ['name'],
    item: {
      type: 'object',
      text: 'One match.',
      use: asWhole,
      checks: [expression],
      fields: { name, type: matchType, value },
    },
  } as const
}

const headerName = headerNamed('Name of the header, in upper or lower case.')

export const httpHeaderMatches = matchesByName('Headers that must all match.', headerName, headerValue('The value.'))

export const grpcHeaderMatches = matchesByName(
  'Headers that must all match.',
  headerName,
  text('The value.', { required: true, minLength: 1, maxLength: 4096 }),
)

const queryParams = matchesByName(
  'Query parameters that must all match.',
  headerNamed('Name of the parameter, as it is written.'),
  text('The value.', { required: true, minLength: 1, maxLength: 1024 }),
)

const match = {
  type: 'object',
  text: 'One match; all that it names must hold.',
  use: asWhole,
  checks: headerChecks,
  fields: {
    path,
    headers: httpHeaderMatches,
    queryParams,
    method: { type: 'enum', text: 'Method of the request.', use: asWhole, values: httpMethods },
  },
} as const satisfies ObjectField

export const httpMatches = {
  type: 'list',
  text: 'Matches, any of which is enough; every request where absent.',
  use: asWhole,
  maxItems: 64,
  default: [{ path: everyPath }],
  item: match,
} as const satisfies ListField
