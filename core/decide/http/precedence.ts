// In which order the matches of all routes of a frontend are tried. Pure; route-index.ts sorts by it once per table.
//
// Gateway API (HTTPRouteMatch, GRPCRouteMatch): each match ranks by itself, over all rules of all routes. How a RegularExpression
// ranks is left to the implementation: here behind Exact and before PathPrefix, the longer expression first.
import type { PathMatch, RequestMatch, Route, RouteGroup } from '../../model/routes.ts'

/** One match of one route; a route without matches counts as one match that holds for everything. */
export interface RankedMatch {
  readonly route: Route
  readonly match: RequestMatch
  /** Position in the route's matches; -1 where it has none. */
  readonly position: number
}

const everything: RequestMatch = {}

/** All matches of a group, the one that is tried first in front. */
export function ranked(group: RouteGroup): readonly RankedMatch[] {
  const all = group.routes.flatMap((route) => {
    if (route.matches.length === 0) return [{ route, match: everything, position: -1 }]
    return route.matches.map((match, position) => ({ route, match, position }))
  })
  // the sort is stable: what compares equal stays in the order of the routes
  return group.precedence === 'first' ? all : all.sort((a, b) => compareMatches(a.match, b.match))
}

/** Negative where `a` comes first, 0 where the spec leaves it to the age of the routes. */
export function compareMatches(a: RequestMatch, b: RequestMatch): number {
  const [first, second] = [pathRank(a.path), pathRank(b.path)]
  for (let index = 0; index < first.length; index++) {
    const difference = second[index]! - first[index]!
    if (difference !== 0) return difference
  }
  return (
    Number(b.method !== undefined) - Number(a.method !== undefined) ||
    (b.headers?.length ?? 0) - (a.headers?.length ?? 0) ||
    (b.query?.length ?? 0) - (a.query?.length ?? 0)
  )
}

const classOf = { exact: 3, grpc: 3, regex: 2, segments: 1, prefix: 1 } as const

/** Larger numbers come first: the kind, the characters of path or service, those of the method of a call. */
function pathRank(path: PathMatch | undefined): readonly [number, number, number] {
  if (path === undefined) return [1, 1, 0]
  if (path.kind !== 'grpc') return [classOf[path.kind], Math.max(path.value.length, 1), 0]
  const length = (part: typeof path.service): number =>
    part === undefined || part.kind === 'present' ? 0 : part.value.length
  const exact = path.service?.kind !== 'regex' && path.method?.kind !== 'regex'
  const size = [length(path.service), length(path.method)] as const
  // a call that names nothing ranks as none at all
  if (size[0] === 0 && size[1] === 0) return [1, 1, 0]
  return [exact ? 3 : 2, ...size]
}
