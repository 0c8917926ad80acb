// The matches of one group of routes, compiled and indexed by path: finds the match that counts for a request. Made once per table
// by route-request.ts.
import type { RouteGroup } from '../../model/routes.ts'
import { type CompiledMatch, compileMatch, type RequestTest } from './match.ts'
import { PathTrie } from './path-trie.ts'
import { type RankedMatch, ranked } from './precedence.ts'
import type { RoutedRequest } from './request.ts'

export interface Entry extends RankedMatch {
  readonly compiled: CompiledMatch
}

export class RouteIndex {
  /** By rank: of several that hold, the first counts. */
  readonly entries: readonly Entry[]
  readonly #byPath = new PathTrie()
  /** Ranks of the matches that the tree does not take: expressions, and paths in any case. */
  readonly #others: number[] = []
  #request: RoutedRequest | undefined
  /** One closure for all lookups; they are synchronous. */
  readonly #accepts = (rank: number): boolean => restHolds(this.entries[rank]!.compiled.rest, this.#request!)

  constructor(group: RouteGroup) {
    this.entries = ranked(group).map((match) => ({ ...match, compiled: compileMatch(match.match) }))
    for (const [rank, { match }] of this.entries.entries()) {
      if (!this.#byPath.add(match.path, rank)) this.#others.push(rank)
    }
  }

  /** The rank of the match that counts, -1 where none holds. */
  find(request: RoutedRequest): number {
    this.#request = request
    const none = this.entries.length
    let best = this.#byPath.lowest(request.path, none, this.#accepts)
    this.#request = undefined
    for (let index = 0; index < this.#others.length; index++) {
      const rank = this.#others[index]!
      if (rank >= best) break
      const { path, rest } = this.entries[rank]!.compiled
      if (path?.holds(request) && restHolds(rest, request)) best = rank
    }
    return best === none ? -1 : best
  }

  /** The first test of an entry that fails, as its author names the field; undefined where the entry holds. */
  failing(rank: number, request: RoutedRequest): string | undefined {
    const { path, rest } = this.entries[rank]!.compiled
    const tests = path === undefined ? rest : [path, ...rest]
    return tests.find((test) => !test.holds(request))?.field
  }
}

function restHolds(tests: readonly RequestTest[], request: RoutedRequest): boolean {
  for (let index = 0; index < tests.length; index++) if (!tests[index]!.holds(request)) return false
  return true
}
