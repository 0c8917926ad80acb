// Reading specs that have passed validation, without their types: a rule looks at a few fields of many kinds.
import { isObject } from '../model/field-check.ts'
import type { Path } from '../model/fields/field.ts'
import type { MeshObject } from '../model/resource.ts'

export type Fields = Readonly<Record<string, unknown>>
export type Labels = Readonly<Record<string, string>>

export function fields(value: unknown): Fields {
  return isObject(value) ? value : {}
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

export function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

export function texts(value: unknown): readonly string[] {
  return list(value).filter((item) => typeof item === 'string')
}

/** The items of a list with their paths. */
export function items(value: unknown, at: Path): readonly { readonly value: Fields; readonly at: Path }[] {
  return list(value).map((item, index) => ({ value: fields(item), at: [...at, index] }))
}

export function specOf(object: MeshObject): Fields {
  return fields(object.spec)
}

export function namespaceOf(object: MeshObject): string {
  return object.metadata.namespace ?? ''
}

export function labelsOf(value: unknown): Labels {
  return fields(value) as Labels
}

export function selects(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value)
}

/** `a=1, b=2`. */
export function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')
}

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `1m30s` in milliseconds; undefined for what is none. */
export function durationMs(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(value)) return undefined
  let total = 0
  for (const [, amount, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(amount) * durationUnits[unit!]!
  }
  return total
}
