// What a column of `get` shows of an object. The API's tables and the CLI's print it.
import type { MeshObject } from '../resource.ts'
import type { Column, PathStep } from './kind.ts'

/** What the column says of the object: computed, or what its path leads to. */
export function cellValue(object: MeshObject, column: Column): unknown {
  return column.cell === undefined ? valueAt(object, column.path) : column.cell(object)
}

/** The value at the end of the path; over a list, the values of all items. Undefined where the object has none. */
export function valueAt(value: unknown, path: readonly PathStep[]): unknown {
  const [head, ...rest] = path
  if (head === undefined) return value
  if (typeof head === 'object') return valueAt(itemOf(value, head.type), rest)
  if (Array.isArray(value)) return value.map((item: unknown) => valueAt(item, path))
  if (typeof value !== 'object' || value === null) return undefined
  return valueAt((value as Readonly<Record<string, unknown>>)[head], rest)
}

function itemOf(list: unknown, type: string): unknown {
  if (!Array.isArray(list)) return undefined
  return list.find((item: unknown) => typeof item === 'object' && item !== null && 'type' in item && item.type === type)
}
