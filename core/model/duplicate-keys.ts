// Keys that stand twice in one mapping of a YAML document, for readers that tell of them instead of refusing the document.
import { isMap, isPair, isScalar, isSeq } from 'yaml'
import type { Path } from './fields/field.ts'

/** Nobody reads more than these. */
const maxFound = 100

/** Paths of the second and every later occurrence, in the order of the document; aliases are not followed. */
export function duplicateKeys(node: unknown, at: Path = [], found: Path[] = []): readonly Path[] {
  if (isSeq(node)) for (const [index, item] of node.items.entries()) duplicateKeys(item, [...at, index], found)
  if (!isMap(node)) return found
  const keys = new Set<string>()
  for (const pair of node.items) {
    if (!isPair(pair)) continue
    const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
    // `<<` may stand several times: it merges
    if (keys.has(key) && key !== '<<' && found.length < maxFound) found.push([...at, key])
    keys.add(key)
    duplicateKeys(pair.value, [...at, key], found)
  }
  return found
}
