// What JSON.parse lets through and a resource must not have: a key twice in one object, of which the last would silently win, and
// nesting so deep that walking it would overflow the stack.
import { formatPath } from '../../core/model/problem.ts'

/** A token that matters here: a string, or a bracket, colon or comma. Numbers and words lie between. */
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g

const maxDepth = 200

/** A hostile text may repeat itself a million times; nobody reads more than these. */
const maxDuplicates = 100

export interface JsonFaults {
  readonly tooDeep: boolean
  /** Paths of the keys that stand twice in one object, in order: `spec.ports[0].port`. */
  readonly duplicates: readonly string[]
}

/** An object with the keys so far, or a list with the index of its present item. */
type Open = { readonly keys: Set<string>; at: string } | { readonly keys: undefined; at: number }

/** What is wrong with a text that JSON.parse accepts. */
export function jsonFaults(text: string): JsonFaults {
  const open: Open[] = []
  const duplicates = new Set<string>()
  let last = ''
  for (const [found] of text.matchAll(token)) {
    if (found === '{' || found === '[') {
      if (open.push(found === '{' ? { keys: new Set(), at: '' } : { keys: undefined, at: 0 }) > maxDepth)
        return { tooDeep: true, duplicates: [...duplicates] }
    } else if (found === '}' || found === ']') open.pop()
    else if (found === ':') {
      const holder = open.at(-1)
      if (holder?.keys === undefined) continue
      holder.at = JSON.parse(last) as string
      if (!holder.keys.has(holder.at)) holder.keys.add(holder.at)
      else if (duplicates.size < maxDuplicates) duplicates.add(formatPath(open.map(({ at }) => at)))
    } else if (found === ',') {
      const holder = open.at(-1)
      if (holder !== undefined && holder.keys === undefined) holder.at += 1
    } else last = found
  }
  return { tooDeep: false, duplicates: [...duplicates] }
}

export function depthProblem(): string {
  return `is nested more than ${maxDepth} levels deep`
}
