// Paths and hosts as a rule rewrites them: Gateway API's URLRewrite and Istio's HTTPRewrite. The query is never part of what is
// rewritten. Compiled once per destination by route-request.ts, also for the paths of redirects.
import type { PathMatch, PathRewrite } from '../../model/routes.ts'
import { withoutFinalSlash } from './match.ts'
import { withLeadingSlash } from './path.ts'
import { linearRegex } from './regex.ts'

/** @returns the new path, which may bring its own query where the author wrote one */
export type PathRewriter = (path: string) => string

/** @param matched the path match that held, which says how much of the path `matched` replaces */
export function compileRewrite(rewrite: PathRewrite, matched: PathMatch | undefined): PathRewriter {
  const { kind, value } = rewrite
  if (kind === 'full') {
    const whole = withLeadingSlash(value)
    return () => whole
  }
  if (kind === 'segments') {
    const length = withoutFinalSlash(rewrite.prefix).length
    return (path) => replacePrefix(path, length, value)
  }
  if (kind === 'regex') return expressionRewriter(rewrite.pattern, value)
  if (matched === undefined || matched.kind === 'prefix') {
    // istiod routes a rule without uri by the prefix "/", which is what is replaced then
    const length = matched?.value.length ?? 1
    return (path) => withLeadingSlash(value + path.slice(length))
  }
  return () => withLeadingSlash(value)
}

/** The table of HTTPPathModifier.replacePrefixMatch: what follows the prefix stays, with one slash between the two. */
function replacePrefix(path: string, length: number, replacement: string): string {
  const rest = path.slice(length)
  const base = withoutFinalSlash(replacement)
  if (rest === '') return withLeadingSlash(replacement)
  return withLeadingSlash(`${base}${withLeadingSlash(rest)}`)
}

/** RE2's GlobalReplace, as Envoy's regex_rewrite does it. */
function expressionRewriter(pattern: string, replacement: string): PathRewriter {
  const regex = linearRegex(pattern, false)
  if ('problem' in regex) return (path) => path
  const { expression } = regex
  const parts = partsOf(replacement)
  return (path) =>
    withLeadingSlash(
      path.replace(expression, (...found: readonly unknown[]) =>
        parts.map((part) => (typeof part === 'string' ? part : (groupOf(found, part) ?? ''))).join(''),
      ),
    )
}

/** After the groups come the offset, a number, and the text. */
function groupOf(found: readonly unknown[], group: number): string | undefined {
  const count = found.findIndex((part) => typeof part === 'number')
  const text = group < count ? found[group] : undefined
  return typeof text === 'string' ? text : undefined
}

/** Literal texts and numbers of groups. */
function partsOf(replacement: string): readonly (string | number)[] {
  return replacement
    .split(/(\\[0-9\\])/)
    .map((part) => (/^\\[0-9]$/.test(part) ? Number(part[1]) : part === '\\\\' ? '\\' : part))
}
