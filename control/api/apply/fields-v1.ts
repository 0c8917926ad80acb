// `fieldsV1`, the JSON form of a field set in `metadata.managedFields`: {"f:spec":{"f:ports":{".":{},"k:{\"port\":80}":{}}}}.
import { isObject } from '../../../core/model/field-check.ts'
import { emptySet, type FieldSet, leaf, node, sortedSteps } from './field-set.ts'

export type FieldsV1 = Readonly<Record<string, unknown>>

export function encodeFields(set: FieldSet): FieldsV1 {
  const own = set.member && set.children.size > 0 ? [['.', {}] as const] : []
  const below = sortedSteps(set).map((step) => [step, encodeFields(set.children.get(step)!)] as const)
  return Object.fromEntries([...own, ...below])
}

/** Nesting of a set; objects have less. */
const maxDepth = 200

/** The set; undefined where the value is not fieldsV1. */
export function decodeFields(value: unknown): FieldSet | undefined {
  if (!isObject(value)) return undefined
  if (Object.keys(value).length === 0) return emptySet
  return decodeNode(value, 0)
}

function decodeNode(value: unknown, depth: number): FieldSet | undefined {
  if (!isObject(value) || depth > maxDepth) return undefined
  const entries = Object.entries(value)
  if (entries.length === 0) return leaf
  const children: (readonly [string, FieldSet])[] = []
  let member = false
  for (const [key, below] of entries) {
    if (key === '.') {
      member = true
      continue
    }
    const step = canonicalStep(key)
    const child = decodeNode(below, depth + 1)
    if (step === undefined || child === undefined) return undefined
    children.push([step, child])
  }
  // the path of the whole object is in no set
  return node(member && depth > 0, children)
}

/** The step in the one form that `keyStep` and `valueStep` write; undefined where it is none. */
function canonicalStep(key: string): string | undefined {
  if (key.startsWith('f:')) return key
  if (key.startsWith('i:')) return /^i:(0|[1-9]\d*)$/.test(key) ? key : undefined
  if (!key.startsWith('v:') && !key.startsWith('k:')) return undefined
  try {
    const value: unknown = JSON.parse(key.slice(2))
    if (key.startsWith('v:')) return valueStep(value)
    return isObject(value) && Object.keys(value).length > 0 ? keyStep(Object.entries(value)) : undefined
  } catch {
    return undefined
  }
}

export function fieldStep(name: string): string {
  return `f:${name}`
}

export function valueStep(value: unknown): string {
  return `v:${JSON.stringify(value)}`
}

/** `k:{"port":80,"protocol":"TCP"}`, keys in order of name. */
export function keyStep(keys: readonly (readonly [string, unknown])[]): string {
  const sorted = [...keys].sort(([a], [b]) => (a < b ? -1 : 1))
  return `k:{${sorted.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`
}

export function positionStep(index: number): string {
  return `i:${index}`
}
