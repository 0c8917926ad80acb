// The shape of crd-fields.json and core-fields.json, and how the tests read them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What is published of one field; what is not said is absent. */
export interface PathFacts {
  /** `string`, `enum A|B`, `list`, `map`, `object`, `any`, … as field tables call them. */
  readonly type: string
  readonly required?: true
  readonly min?: number
  readonly max?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
  /** Of lists (maxItems) and maps (maxProperties). */
  readonly minItems?: number
  readonly maxItems?: number
  readonly default?: unknown
  readonly nullable?: true
  readonly listType?: string
  readonly mapKeys?: readonly string[]
  /** `x-kubernetes-map-type: atomic`. */
  readonly atomic?: true
  /** Unknown fields are kept (`x-kubernetes-preserve-unknown-fields` beside properties). */
  readonly open?: true
  /** Messages of `x-kubernetes-validations`; `oneOf` of required fields reads `at most one of a, b`. */
  readonly rules?: readonly string[]
}

/** By path below the object: `[]` for items of a list, `{}` for values of a map. */
export type FieldFacts = Readonly<Record<string, PathFacts>>

export interface OracleKind {
  readonly group: string
  readonly namespaced: boolean
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  /** By version: `name jsonPath priority`. */
  readonly columns: Readonly<Record<string, readonly string[]>>
  /** Versions with `served: true`; the others are published for storage only. */
  readonly served: readonly string[]
  /** By version: the fields, or the name of the version that has the same. */
  readonly fields: Readonly<Record<string, FieldFacts | string>>
}

export type Oracle = Readonly<Record<string, OracleKind>>

export function readOracle(): Oracle {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'crd-fields.json'), 'utf8')) as Oracle
}

/**
 * Kind → version → path → `type required; list type and keys`. Kubernetes' own kinds have no CRDs: Service and Namespace are
 * transcribed from the Kubernetes API reference (v1.34, types only), the others come from core-models.ts.
 */
export type CoreFields = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>>

export function readCoreFields(): CoreFields {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'core-fields.json'), 'utf8')) as CoreFields
}

/** What a line of core-fields.json says. */
export function coreFact(line: string): { readonly type: string; readonly required: boolean; readonly list?: string } {
  const [head = '', ...list] = line.split('; ')
  const type = head.replace(/ required$/, '')
  return { type, required: head !== type, ...(list.length === 0 ? {} : { list: list.join('; ') }) }
}

export function fieldsOf(kind: OracleKind, version: string): FieldFacts | undefined {
  const fields = kind.fields[version]
  return typeof fields === 'string' ? fieldsOf(kind, fields) : fields
}
