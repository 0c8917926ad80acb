// Finds the entries whose path match holds for a path without trying them one by one: a radix tree over exact paths and prefixes.
// Made once per table by route-index.ts; a lookup allocates nothing.
import type { PathMatch } from '../../model/routes.ts'
import { withoutFinalSlash } from './match.ts'

/** Ascending. */
type Ranks = number[]

interface Node {
  /** Of the edge that leads here. */
  label: string
  readonly children: Map<number, Node>
  /** The path ends here. */
  readonly exact: Ranks
  /** The path ends here or goes on with a slash. */
  readonly segments: Ranks
  /** However the path goes on. */
  readonly bytes: Ranks
}

type Kind = 'exact' | 'segments' | 'bytes'

function node(label: string): Node {
  return { label, children: new Map(), exact: [], segments: [], bytes: [] }
}

const slash = 0x2f

export class PathTrie {
  readonly #root = node('')

  /** Whether the tree takes this kind of match; ranks must come in ascending order. */
  add(path: PathMatch | undefined, rank: number): boolean {
    const place = placeOf(path)
    if (place === undefined) return false
    this.#at(place.text)[place.kind].push(rank)
    return true
  }

  /**
   * The smallest rank below `best` whose path match holds and that `accepts`; `best` where there is none. `accepts` is not asked for
   * ranks that could not win.
   */
  lowest(path: string, best: number, accepts: (rank: number) => boolean): number {
    let lowest = best
    let current: Node = this.#root
    for (let at = 0; ; ) {
      lowest = first(current.bytes, lowest, accepts)
      const atEnd = at === path.length
      if (atEnd || path.charCodeAt(at) === slash) lowest = first(current.segments, lowest, accepts)
      if (atEnd) return first(current.exact, lowest, accepts)
      const next = current.children.get(path.charCodeAt(at))
      if (next === undefined || !path.startsWith(next.label, at)) return lowest
      at += next.label.length
      current = next
    }
  }

  /** The node for a text, made where it is missing. */
  #at(text: string): Node {
    let current = this.#root
    for (let at = 0; at < text.length; ) {
      const code = text.charCodeAt(at)
      const next = current.children.get(code)
      if (next === undefined) {
        const leaf = node(text.slice(at))
        current.children.set(code, leaf)
        return leaf
      }
      const shared = sharedLength(next.label, text, at)
      current = shared === next.label.length ? next : split(current, next, shared)
      at += shared
    }
    return current
  }
}

function placeOf(path: PathMatch | undefined): { readonly kind: Kind; readonly text: string } | undefined {
  if (path === undefined) return { kind: 'bytes', text: '' }
  if (path.kind === 'segments') return { kind: 'segments', text: withoutFinalSlash(path.value) }
  if (path.kind === 'exact' || path.kind === 'prefix') {
    if (path.ignoreCase === true) return undefined
    return { kind: path.kind === 'exact' ? 'exact' : 'bytes', text: path.value }
  }
  if (path.kind === 'grpc' && path.service?.kind === 'exact' && path.method?.kind === 'exact') {
    return { kind: 'exact', text: `/${path.service.value}/${path.method.value}` }
  }
  return undefined
}

function first(ranks: Ranks, best: number, accepts: (rank: number) => boolean): number {
  for (let index = 0; index < ranks.length; index++) {
    const rank = ranks[index]!
    if (rank >= best) return best
    if (accepts(rank)) return rank
  }
  return best
}

function sharedLength(label: string, text: string, at: number): number {
  let length = 0
  while (length < label.length && label.charCodeAt(length) === text.charCodeAt(at + length)) length++
  return length
}

/** Puts a node in the middle of the edge to `child`. */
function split(parent: Node, child: Node, length: number): Node {
  const middle = node(child.label.slice(0, length))
  parent.children.set(middle.label.charCodeAt(0), middle)
  child.label = child.label.slice(length)
  middle.children.set(child.label.charCodeAt(0), child)
  return middle
}
