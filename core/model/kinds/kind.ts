// What is said of a kind besides its fields: names, versions, scope, columns of `get`. The rows stand in this folder, a file for
// each family of API groups; ../kinds.ts looks them up.
import type { FieldTable, ObjectCheck, ObjectField, ValueCheck } from '../fields/field.ts'
import type { MeshObject } from '../resource.ts'

/** The name of a field, or of a list the items of that `type`: the condition `Accepted`. */
export type PathStep = string | { readonly type: string }

/**
 * A column of `get`: `path` leads from the object to a scalar, or to a list whose items are joined with commas. `cellValue`
 * (./cell.ts) follows it.
 */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'date'
  readonly path: readonly PathStep[]
  readonly text: string
  /** 0 is always shown, 1 with `-o wide`. */
  readonly priority: 0 | 1
  /** What stands in the cell instead of what `path` leads to; of type `date` a time, shown as an age. Empty: `<none>`. */
  readonly cell?: (object: MeshObject) => string | number
}

export interface Kind {
  readonly kind: string
  /** Empty for the core group. */
  readonly group: string
  /** All served versions, the preferred one first. They have the same fields, unless a field says otherwise. */
  readonly versions: readonly string[]
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  /** Every top-level field besides apiVersion, kind, metadata and status; most kinds have `spec` only. */
  readonly body: FieldTable
  /** What `status` may hold, for kinds whose status is more than conditions. */
  readonly status?: ObjectField
  readonly name: ValueCheck<string>
  /**
   * What an explicit null is: `absent`, as in Kubernetes, or `refused` for kinds where a field that was emptied by accident would
   * let more people in.
   */
  readonly nulls: 'absent' | 'refused'
  readonly columns: readonly Column[]
  /** Shows the name with `-o wide` only, since nobody chose it. */
  readonly nameIsWide?: true
  /** Nothing of the kind comes true or not: it has no status at all. */
  readonly hasNoStatus?: true
  /** Checks over the whole object, whose fields have the right types, for kinds with several top-level fields. */
  readonly checks?: readonly ObjectCheck[]
}

export function column(name: string, path: string, text: string, priority: 0 | 1 = 0): Column {
  return { name, type: 'string', path: path.split('.'), text, priority }
}

/** A column that no single field holds. */
export function computed(
  name: string,
  text: string,
  cell: (object: MeshObject) => string | number,
  more: Partial<Pick<Column, 'type' | 'priority'>> = {},
): Column {
  return { name, type: 'string', path: [], text, priority: 0, cell, ...more }
}

/** The status of the object's condition of that type. */
export function conditionColumn(type: string, text: string): Column {
  return { name: type, type: 'string', path: ['status', 'conditions', { type }, 'status'], text, priority: 0 }
}

export const age: Column = {
  name: 'Age',
  type: 'date',
  path: ['metadata', 'creationTimestamp'],
  text: 'Time since the object was created.',
  priority: 0,
}
