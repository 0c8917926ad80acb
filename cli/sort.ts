// `--sort-by`: objects in the order of one of their fields. Pure; used by `get`.
import type { MeshObject } from '../core/model/resource.ts'
import { UsageError } from './session.ts'

const pathPattern = /^[A-Za-z0-9_/-]+(\.[A-Za-z0-9_/-]+)*$/

/**
 * Numbers by size, everything else as text; objects without the field first, equal ones as they were.
 *
 * @param text `metadata.name`, or as kubectl writes it, `.metadata.name` or `{.metadata.name}`. Throws UsageError.
 */
export function sortedBy(objects: readonly MeshObject[], text: string): readonly MeshObject[] {
  const path = text.replace(/^\{(.*)\}$/, '$1').replace(/^\./, '')
  if (!pathPattern.test(path)) throw new UsageError(`--sort-by: "${text}" is not a path such as metadata.name`)
  const parts = path.split('.')
  const keyed = objects.map((object) => ({ object, value: valueAt(object, parts) }))
  return keyed.toSorted((a, b) => compare(a.value, b.value)).map(({ object }) => object)
}

function valueAt(object: unknown, [head, ...rest]: readonly string[]): unknown {
  if (head === undefined) return object
  if (typeof object !== 'object' || object === null) return undefined
  return valueAt((object as Readonly<Record<string, unknown>>)[head], rest)
}

function compare(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [first, second] = [a, b].map((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value)))
  return first! < second! ? -1 : Number(first! > second!)
}
