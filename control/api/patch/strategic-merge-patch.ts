// Strategic merge patch: what `kubectl edit`, `patch` and client-side `apply` send for Kubernetes' own kinds. Lists merge by the
// keys of the field tables (`ListField.patch`); directives start with `$`. Pure; write-requests.ts calls it.
import { isObject } from '../../../core/model/field-check.ts'
import type { Field, ListField } from '../../../core/model/fields/field.ts'
import { ApiError } from '../errors.ts'
import { elementOrder, ordered } from './strategic-order.ts'

type Fields = Readonly<Record<string, unknown>>

const deletePrefix = '$deleteFromPrimitiveList/'
const orderPrefix = '$setElementOrder/'

/** The target with the patch applied; neither is changed. Throws BadRequest where a directive is malformed. */
export function strategicMergePatch(target: Fields, patch: Fields, field: Field | undefined): Fields {
  const directive = patch['$patch']
  if (directive === 'replace') return plain(without(patch, '$patch')) as Fields
  if (directive === 'delete') return {}
  if (directive !== undefined && directive !== 'merge') throw unknownDirective(directive)
  const merged = new Map<string, unknown>(Object.entries(retained(target, patch['$retainKeys'])))
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(deletePrefix)) removeValues(merged, key.slice(deletePrefix.length), value)
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue
    if (value === null || isDeletion(value)) merged.delete(key)
    else merged.set(key, mergedValue(merged.get(key), value, childOf(field, key), orderOf(patch, key)))
  }
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith(orderPrefix)) checkDirective(key)
    else if (!Object.hasOwn(patch, key.slice(orderPrefix.length))) {
      reorder(merged, key.slice(orderPrefix.length), childOf(field, key.slice(orderPrefix.length)), order)
    }
  }
  return Object.fromEntries(merged)
}

/** `{$patch: delete}` as a value takes the whole field away. */
function isDeletion(value: unknown): boolean {
  return isObject(value) && value['$patch'] === 'delete'
}

function checkDirective(key: string): void {
  const known = key === '$patch' || key === '$retainKeys' || key.startsWith(deletePrefix)
  if (key.startsWith('$') && !known) throw unknownDirective(key)
}

function unknownDirective(directive: unknown): ApiError {
  return new ApiError('BadRequest', `unknown directive ${JSON.stringify(directive)} in the strategic merge patch`)
}

function childOf(field: Field | undefined, key: string): Field | undefined {
  if (field?.type === 'map') return field.value
  if (field?.type !== 'object') return undefined
  return Object.hasOwn(field.fields, key) ? field.fields[key] : undefined
}

function retained(target: Fields, keys: unknown): Fields {
  if (keys === undefined) return target
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string'))
    throw new ApiError('BadRequest', '$retainKeys must be a list of field names')
  const kept = new Set<string>(keys)
  return Object.fromEntries(Object.entries(target).filter(([key]) => kept.has(key)))
}

function removeValues(merged: Map<string, unknown>, key: string, values: unknown): void {
  if (!Array.isArray(values)) throw new ApiError('BadRequest', `${deletePrefix}${key} must be a list of values`)
  const list = merged.get(key)
  if (!Array.isArray(list)) return
  const gone = new Set(values.map((value) => JSON.stringify(value)))
  merged.set(
    key,
    list.filter((item) => !gone.has(JSON.stringify(item))),
  )
}

function orderOf(patch: Fields, key: string): readonly unknown[] | undefined {
  return elementOrder(patch[`${orderPrefix}${key}`], `${orderPrefix}${key}`)
}

function mergedValue(
  target: unknown,
  value: unknown,
  field: Field | undefined,
  order: readonly unknown[] | undefined,
): unknown {
  if (isObject(value)) return strategicMergePatch(isObject(target) ? target : {}, value, field)
  if (!Array.isArray(value)) return value
  const list = Array.isArray(target) ? target : []
  if (field?.type !== 'list' || field.patch === undefined) return plain(value)
  const { mergeKey } = field.patch
  const merged = mergeKey === undefined ? union(list, value) : mergedItems(list, value, field, mergeKey)
  return order === undefined ? merged : ordered(merged, list, order, mergeKey)
}

function union(list: readonly unknown[], added: readonly unknown[]): readonly unknown[] {
  if (added.some((value) => isObject(value) || Array.isArray(value)))
    throw new ApiError('BadRequest', 'a list of plain values holds plain values only')
  return [...new Set([...list, ...added])]
}

function mergedItems(
  list: readonly unknown[],
  patch: readonly unknown[],
  field: ListField,
  mergeKey: string,
): readonly unknown[] {
  const items = patch.map((item) => keyed(item, mergeKey))
  if (items.some((item) => item['$patch'] === 'replace' && !Object.hasOwn(item, mergeKey)))
    return items.filter((item) => Object.hasOwn(item, mergeKey)).map(plain)
  const gone = new Set(items.filter((item) => item['$patch'] === 'delete').map((item) => item[mergeKey]))
  const merged = list.filter((item) => !isObject(item) || !gone.has(item[mergeKey]))
  // a look through the list for each item would take minutes for a hostile patch
  const places = new Map<unknown, number>()
  for (const [index, item] of merged.entries())
    if (isObject(item) && !places.has(item[mergeKey])) places.set(item[mergeKey], index)
  for (const item of items) {
    if (item['$patch'] === 'delete') continue
    const at = places.get(item[mergeKey]) ?? merged.length
    const held = merged[at]
    merged[at] = strategicMergePatch(isObject(held) ? held : {}, item, field.item)
    places.set(item[mergeKey], at)
  }
  return merged
}

function keyed(item: unknown, mergeKey: string): Fields {
  if (!isObject(item)) throw new ApiError('BadRequest', `the items of a list that merges by ${mergeKey} are objects`)
  if (Object.hasOwn(item, mergeKey) || item['$patch'] === 'replace') return item
  throw new ApiError('BadRequest', `${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`)
}

function reorder(merged: Map<string, unknown>, key: string, field: Field | undefined, value: unknown): void {
  const order = elementOrder(value, `${orderPrefix}${key}`)
  const list = merged.get(key)
  if (order === undefined || !Array.isArray(list)) return
  if (field?.type !== 'list' || field.patch === undefined) return
  merged.set(key, ordered(list, list, order, field.patch.mergeKey))
}

/** A value without the directives in it, for what takes the place of something else. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([key, entry]) => !key.startsWith('$') && entry !== null)
  return Object.fromEntries(kept.map(([key, entry]) => [key, plain(entry)]))
}

function without(value: Fields, key: string): Fields {
  const { [key]: _, ...rest } = value
  return rest
}
