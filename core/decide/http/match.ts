// Whether one match of a rule holds for a request: every kind of match of HTTPRoute, GRPCRoute and VirtualService. Compiled once
// per table; route-index.ts asks the tests, `explain` asks which of them fails.
import type { NamedMatch, PathMatch, RequestMatch, ValueMatch } from '../../model/routes.ts'
import { linearRegex } from './regex.ts'
import { queryValue, type RoutedRequest } from './request.ts'

export interface RequestTest {
  /** As the author names it: `path`, `headers["x-user"]`, … */
  readonly field: string
  readonly holds: (request: RoutedRequest) => boolean
}

export interface CompiledMatch {
  readonly path: RequestTest | undefined
  /** Everything but the path, the cheapest first. */
  readonly rest: readonly RequestTest[]
}

type TextTest = (text: string) => boolean

/** A match with an expression that cannot be used never holds; problemsOf tells its author. */
export function compileMatch(match: RequestMatch): CompiledMatch {
  const { port, sourceNamespace, sourceLabels } = match
  const rest: RequestTest[] = []
  const add = (field: string, holds: RequestTest['holds']): void => {
    rest.push({ field, holds })
  }
  if (port !== undefined) add('port', (request) => request.port === port)
  if (sourceNamespace !== undefined) {
    add('sourceNamespace', (request) => request.sourceNamespace === sourceNamespace)
  }
  if (sourceLabels !== undefined) add('sourceLabels', labelsTest(sourceLabels))
  for (const field of ['method', 'scheme', 'authority'] as const) {
    const value = match[field]
    if (value === undefined) continue
    const test = textTest(value)
    add(field, (request) => test(request[field]))
  }
  for (const { name, match: value } of match.headers ?? []) add(`headers["${name}"]`, headerTest(name, value))
  for (const { name, match: value } of match.withoutHeaders ?? []) {
    add(`withoutHeaders["${name}"]`, absenceTest(name, value))
  }
  for (const { name, match: value } of match.query ?? []) add(`queryParams["${name}"]`, parameterTest(name, value))
  for (const claim of match.claims ?? []) {
    const test = textTest(claim.match)
    const holds = (request: RoutedRequest): boolean => request.claim?.(claim.claim)?.some(test) ?? false
    const field = `${claim.without ? 'withoutHeaders' : 'headers'}["@request.auth.claims.${claim.claim.join('.')}"]`
    add(field, claim.without ? (request) => usable(claim.match) && !holds(request) : holds)
  }
  return { path: match.path === undefined ? undefined : pathTest(match.path), rest }
}

function labelsTest(labels: Readonly<Record<string, string>>): RequestTest['holds'] {
  const entries = Object.entries(labels)
  return ({ sourceLabels }) =>
    sourceLabels !== undefined &&
    entries.every(([name, value]) => Object.hasOwn(sourceLabels, name) && sourceLabels[name] === value)
}

function headerTest(name: string, match: ValueMatch): RequestTest['holds'] {
  if (match.kind === 'present') return (request) => request.header(name) !== undefined
  const test = textTest(match)
  return (request) => {
    const value = request.header(name)
    return value !== undefined && test(value)
  }
}

/** Envoy's invert_match with treat_missing_header_as_empty, as istiod writes withoutHeaders. */
function absenceTest(name: string, match: ValueMatch): RequestTest['holds'] {
  if (match.kind === 'present') return (request) => request.header(name) === undefined
  if (!usable(match)) return () => false
  const test = textTest(match)
  return (request) => !test(request.header(name) ?? '')
}

function parameterTest(name: string, match: ValueMatch): RequestTest['holds'] {
  const test = textTest(match)
  return (request) => {
    const value = queryValue(request.query, name)
    return value !== undefined && test(value)
  }
}

export function textTest(match: ValueMatch): TextTest {
  if (match.kind === 'present') return () => true
  const { kind, value } = match
  if (kind === 'exact') return (text) => text === value
  if (kind === 'prefix') return (text) => text.startsWith(value)
  const regex = linearRegex(value, true)
  if ('problem' in regex) return () => false
  const { expression } = regex
  return (text) => expression.test(text)
}

function usable(match: ValueMatch): boolean {
  return match.kind !== 'regex' || 'expression' in linearRegex(match.value, true)
}

function pathTest(path: PathMatch): RequestTest {
  return { field: path.kind === 'grpc' ? 'method' : 'path', holds: pathHolds(path) }
}

function pathHolds(path: PathMatch): RequestTest['holds'] {
  if (path.kind === 'grpc') return callTest(path)
  if (path.kind === 'segments') {
    const prefix = withoutFinalSlash(path.value)
    return (request) => hasPrefix(request.path, prefix)
  }
  if (path.kind === 'regex') {
    const test = textTest(path)
    return (request) => test(request.path)
  }
  const { kind, value, ignoreCase = false } = path
  if (!ignoreCase) return kind === 'exact' ? ({ path }) => path === value : ({ path }) => path.startsWith(value)
  const lower = value.toLowerCase()
  if (kind === 'exact') return ({ path }) => path.length === value.length && path.toLowerCase() === lower
  return ({ path }) => path.slice(0, value.length).toLowerCase() === lower
}

/** @param prefix without a final slash */
export function hasPrefix(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f)
}

export function withoutFinalSlash(prefix: string): string {
  return prefix.endsWith('/') ? prefix.slice(0, -1) : prefix
}

/** A call is `/service/method`; what has another form is none. */
function callTest({ service, method }: PathMatch & { readonly kind: 'grpc' }): RequestTest['holds'] {
  const ofService = textTest(service ?? { kind: 'present' })
  const ofMethod = textTest(method ?? { kind: 'present' })
  return ({ path }) => {
    const slash = path.indexOf('/', 1)
    if (slash < 2 || slash === path.length - 1 || path.includes('/', slash + 1)) return false
    return ofService(path.slice(1, slash)) && ofMethod(path.slice(slash + 1))
  }
}

/** What of a match cannot be used, in words for its author. */
export function problemsOf(match: RequestMatch): readonly string[] {
  const { path, method, scheme, authority } = match
  const problem = (field: string, value: ValueMatch | undefined): readonly string[] => {
    if (value?.kind !== 'regex') return []
    const regex = linearRegex(value.value, true)
    return 'problem' in regex ? [`${field}: "${value.value}" cannot be used: ${regex.problem}`] : []
  }
  const named = (field: string, list: readonly NamedMatch[] | undefined): readonly string[] =>
    (list ?? []).flatMap(({ name, match: value }) => problem(`${field}["${name}"]`, value))
  const paths =
    path?.kind === 'grpc'
      ? [...problem('method.service', path.service), ...problem('method.method', path.method)]
      : problem('path', path?.kind === 'regex' ? path : undefined)
  return [
    ...paths,
    ...Object.entries({ method, scheme, authority }).flatMap(([field, value]) => problem(field, value)),
    ...named('headers', match.headers),
    ...named('withoutHeaders', match.withoutHeaders),
    ...named('queryParams', match.query),
    ...(match.claims ?? []).flatMap(({ claim, match: value }) => problem(`claim ${claim.join('.')}`, value)),
  ]
}
