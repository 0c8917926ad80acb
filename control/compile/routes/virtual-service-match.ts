// Matches of a VirtualService's HTTP rules, compiled, and how those of a delegate stand within those of its root.
import { problemsOf } from '../../../core/decide/http/match.ts'
import type { VirtualServiceSpec } from '../../../core/model/fields/virtual-service.ts'
import type { ClaimMatch, NamedMatch, PathMatch, RequestMatch, ValueMatch } from '../../../core/model/routes.ts'
import { partlyInvalid, type Tell } from './findings.ts'

export type VirtualRule = NonNullable<VirtualServiceSpec['http']>[number]
type Written = NonNullable<VirtualRule['match']>[number]
type Text = { readonly exact?: string; readonly prefix?: string; readonly regex?: string }

/** @returns undefined where nothing of the matches holds in the mesh: the rule must not become one for everything */
export function virtualMatches(rule: VirtualRule, where: string, tell: Tell): readonly RequestMatch[] | undefined {
  const written = rule.match ?? []
  if (written.length === 0) return []
  const inMesh = written.filter(({ gateways = [] }) => gateways.length === 0 || gateways.includes('mesh'))
  const matches = inMesh.map(matchOf).filter((match) => {
    const problems = problemsOf(match)
    for (const problem of problems) tell(partlyInvalid(`${where}: a match is left out: ${problem}`))
    return problems.length === 0
  })
  return matches.length === 0 ? undefined : matches
}

function matchOf(written: Written): RequestMatch {
  const { name, uri, ignoreUriCase = false, method, scheme, authority, port, sourceNamespace = '' } = written
  const { sourceLabels = {}, queryParams = {} } = written
  const labels = Object.keys(sourceLabels).length > 0
  const query = Object.entries(queryParams).map(([name, text]) => ({ name, match: presence(text) }))
  return {
    ...(name === undefined ? {} : { name }),
    ...(uri === undefined ? {} : { path: pathOf(uri, ignoreUriCase) }),
    ...(method === undefined ? {} : { method: textOf(method) }),
    ...(scheme === undefined ? {} : { scheme: textOf(scheme) }),
    ...(authority === undefined ? {} : { authority: textOf(authority) }),
    ...(port === undefined ? {} : { port }),
    ...(sourceNamespace === '' ? {} : { sourceNamespace }),
    ...(labels ? { sourceLabels } : {}),
    ...(query.length === 0 ? {} : { query }),
    ...headersOf(written),
  }
}

function headersOf({ headers = {}, withoutHeaders = {} }: Written): Partial<RequestMatch> {
  const plain = (map: Readonly<Record<string, Text>>): readonly NamedMatch[] =>
    Object.entries(map)
      .filter(([name]) => !name.startsWith('@'))
      .map(([name, text]) => ({ name: name.toLowerCase(), match: presence(text) }))
  const ofToken = (map: Readonly<Record<string, Text>>, without: boolean): readonly ClaimMatch[] =>
    Object.entries(map)
      .filter(([name]) => name.startsWith('@'))
      .map(([name, text]) => ({ claim: claimOf(name), match: presence(text), without }))
  const [own, absent] = [plain(headers), plain(withoutHeaders)]
  const claims = [...ofToken(headers, false), ...ofToken(withoutHeaders, true)]
  return {
    ...(own.length === 0 ? {} : { headers: own }),
    ...(absent.length === 0 ? {} : { withoutHeaders: absent }),
    ...(claims.length === 0 ? {} : { claims }),
  }
}

/** `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`. */
function claimOf(name: string): readonly string[] {
  const rest = name.slice('@request.auth.claims'.length)
  return rest.startsWith('.') ? rest.slice(1).split('.') : rest.slice(1, -1).split('][')
}

export function textOf(text: Text): ValueMatch {
  if (text.exact !== undefined) return { kind: 'exact', value: text.exact }
  if (text.prefix !== undefined) return { kind: 'prefix', value: text.prefix }
  return { kind: 'regex', value: text.regex ?? '' }
}

/** Nothing written, or the expression `*`: the value must be there. */
function presence(text: Text): ValueMatch {
  const written = text.exact ?? text.prefix ?? text.regex
  return written === undefined || text.regex === '*' ? { kind: 'present' } : textOf(text)
}

function pathOf(uri: Text, ignoreCase: boolean): PathMatch {
  if (uri.regex !== undefined) return { kind: 'regex', value: uri.regex }
  const more = ignoreCase ? { ignoreCase } : {}
  if (uri.exact !== undefined) return { kind: 'exact', value: uri.exact, ...more }
  return { kind: 'prefix', value: uri.prefix ?? '', ...more }
}

/**
 * The matches of a delegate's rule within those of the root's: what both ask for. A pair of which the delegate's is not within the
 * root's is left out, as in istiod; undefined where none is left.
 */
export function within(
  root: readonly RequestMatch[],
  delegate: readonly RequestMatch[],
): readonly RequestMatch[] | undefined {
  if (root.length === 0) return delegate
  if (delegate.length === 0) return root
  const merged = root.flatMap((outer) => delegate.flatMap((inner) => joined(outer, inner) ?? []))
  return merged.length === 0 ? undefined : merged
}

function joined(outer: RequestMatch, inner: RequestMatch): RequestMatch | undefined {
  for (const field of ['method', 'scheme', 'authority'] as const)
    if (!fits(outer[field], inner[field])) return undefined
  for (const field of ['port', 'sourceNamespace'] as const) {
    const [first, second] = [outer[field], inner[field]]
    if (first !== undefined && second !== undefined && first !== second) return undefined
  }
  if (!pathFits(outer.path, inner.path)) return undefined
  const labels = { ...outer.sourceLabels, ...inner.sourceLabels }
  if (Object.entries(outer.sourceLabels ?? {}).some(([name, value]) => labels[name] !== value)) return undefined
  const lists = {
    headers: [...(outer.headers ?? []), ...(inner.headers ?? [])],
    withoutHeaders: [...(outer.withoutHeaders ?? []), ...(inner.withoutHeaders ?? [])],
    query: [...(outer.query ?? []), ...(inner.query ?? [])],
  }
  const claims = [...(outer.claims ?? []), ...(inner.claims ?? [])]
  return {
    ...outer,
    ...inner,
    ...(Object.keys(labels).length === 0 ? {} : { sourceLabels: labels }),
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)),
    ...(claims.length === 0 ? {} : { claims }),
  }
}

/** Whether everything that `inner` takes is something that `outer` takes. */
function fits(outer: ValueMatch | undefined, inner: ValueMatch | undefined): boolean {
  if (outer === undefined || inner === undefined || outer.kind === 'present') return true
  if (inner.kind === 'present') return false
  if (outer.kind === 'exact') return inner.kind === 'exact' && inner.value === outer.value
  return outer.kind === 'prefix' && inner.kind !== 'regex' && inner.value.startsWith(outer.value)
}

function pathFits(outer: PathMatch | undefined, inner: PathMatch | undefined): boolean {
  if (outer === undefined || inner === undefined) return true
  const plain = (path: PathMatch): path is PathMatch & { readonly kind: 'exact' | 'prefix' } =>
    path.kind === 'exact' || path.kind === 'prefix'
  if (!plain(outer) || !plain(inner)) return false
  if ((inner.ignoreCase ?? false) && !(outer.ignoreCase ?? false)) return false
  const fold = (text: string): string => (outer.ignoreCase ? text.toLowerCase() : text)
  return fits({ kind: outer.kind, value: fold(outer.value) }, { kind: inner.kind, value: fold(inner.value) })
}
