// Fills in what a field table says that the server fills in where nothing was written (CRD `default`). normalize.ts calls it for
// every object that is created or changed.
import { isObject } from './field-check.ts'
import { type Field, type FieldTable, fieldsAt } from './fields/field.ts'

type Values = Readonly<Record<string, unknown>>

/**
 * The values with the defaults of a version's fields, at every depth; an object that is not there gets none of its parts' defaults
 * (structural defaulting of CRDs). What needs no default is the same object as before.
 */
export function withFieldDefaults(values: Values, table: FieldTable, version: string): Values {
  const changed: Record<string, unknown> = {}
  for (const [name, field] of fieldsAt(table, version)) {
    const present = Object.hasOwn(values, name) ? values[name] : undefined
    const value = filled(present ?? field.default, field, version)
    if (value !== present && value !== undefined) changed[name] = value
  }
  return Object.keys(changed).length === 0 ? values : { ...values, ...changed }
}

function filled(value: unknown, field: Field, version: string): unknown {
  if (field.type === 'object' && isObject(value)) return withFieldDefaults(value, field.fields, version)
  if (field.type === 'list' && Array.isArray(value)) return filledList(value, field.item, version)
  if (field.type !== 'map' || !isObject(value)) return value
  const entries = Object.entries(value).map(([key, entry]) => [key, filled(entry, field.value, version)] as const)
  return entries.every(([key, entry]) => entry === value[key]) ? value : Object.fromEntries(entries)
}

function filledList(items: readonly unknown[], item: Field, version: string): readonly unknown[] {
  const values = items.map((value) => filled(value, item, version))
  return values.every((value, index) => value === items[index]) ? items : values
}
