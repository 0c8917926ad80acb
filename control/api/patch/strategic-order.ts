// The order of a list after a strategic merge patch (`$setElementOrder`): what the patch names follows its order, what only the
// server has keeps its place among it (apimachinery, `normalizeElementOrder`). strategic-merge-patch.ts calls it.
import { isObject } from '../../../core/model/field-check.ts'
import { ApiError } from '../errors.ts'

/** The list of a directive; undefined where there is none. */
export function elementOrder(value: unknown, name: string): readonly unknown[] | undefined {
  if (value === undefined || value === null) return undefined
  if (Array.isArray(value)) return value
  throw new ApiError('BadRequest', `${name} must be a list`)
}

/** `merged` in the order that the directive asks for; `live` is the list before the patch. */
export function ordered(
  merged: readonly unknown[],
  live: readonly unknown[],
  order: readonly unknown[],
  mergeKey: string | undefined,
): readonly unknown[] {
  const keyOf = (item: unknown): unknown => (mergeKey !== undefined && isObject(item) ? item[mergeKey] : item)
  const wanted = places(order.map(keyOf))
  const before = places(live.map(keyOf))
  const placeIn = (map: ReadonlyMap<unknown, number>) => (item: unknown) => map.get(keyOf(item)) ?? map.size
  const named = sortedBy(
    merged.filter((item) => wanted.has(keyOf(item))),
    placeIn(wanted),
  )
  const serverOnly = sortedBy(
    merged.filter((item) => !wanted.has(keyOf(item))),
    placeIn(before),
  )
  return interleaved(serverOnly, named, (left, right) => {
    const [l, r] = [before.get(keyOf(left)), before.get(keyOf(right))]
    return l !== undefined && r !== undefined && l < r
  })
}

function places(keys: readonly unknown[]): ReadonlyMap<unknown, number> {
  return new Map(keys.map((key, index) => [key, index]))
}

function sortedBy(items: readonly unknown[], place: (item: unknown) => number): readonly unknown[] {
  return [...items].sort((a, b) => place(a) - place(b))
}

/** Both lists in one, each in its own order; a left item comes before the first right item that it is less than. */
function interleaved(
  left: readonly unknown[],
  right: readonly unknown[],
  less: (left: unknown, right: unknown) => boolean,
): readonly unknown[] {
  const result: unknown[] = []
  let [i, j] = [0, 0]
  while (i < left.length || j < right.length) {
    const takeLeft = j >= right.length || (i < left.length && less(left[i], right[j]))
    if (takeLeft) result.push(left[i++])
    else result.push(right[j++])
  }
  return result
}
