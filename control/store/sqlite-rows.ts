// Rows of the SQLite store and what they mean: keys, bodies, and the WHERE clause of a filter.
import type { MeshObject, ObjectKey } from '../../core/model/resource.ts'
import type { ListFilter } from './store.ts'

export interface ObjectRow {
  readonly grp: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly revision: number
  readonly body: string
}

export interface HistoryRow extends ObjectRow {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly previous: string | null
}

export function keyOf(row: ObjectRow): ObjectKey {
  return { group: row.grp, kind: row.kind, namespace: row.namespace, name: row.name }
}

export function keyValues(key: ObjectKey): [string, string, string, string] {
  return [key.group, key.kind, key.namespace, key.name]
}

/** The body carries its revision already; the row's is the authority. */
export function objectOf(body: string, revision: number): MeshObject {
  const object = JSON.parse(body) as MeshObject
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}

/** A WHERE clause with the named parameters of `parameters`. */
export function filterClause(filter: ListFilter): string {
  const parts: string[] = []
  if (filter.group !== undefined) parts.push('grp = :group')
  if (filter.kind !== undefined) parts.push('kind = :kind')
  if (filter.namespace !== undefined) parts.push('namespace = :namespace')
  return parts.length === 0 ? '1 = 1' : parts.join(' AND ')
}

/** What comes after a key, in key order. */
export function afterClause(after: ObjectKey | undefined): string {
  return after === undefined
    ? '1 = 1'
    : '(grp, kind, namespace, name) > (:afterGroup, :afterKind, :afterNamespace, :afterName)'
}

export function parameters(filter: ListFilter, after?: ObjectKey): Record<string, string> {
  const values: Record<string, string> = {}
  if (filter.group !== undefined) values[':group'] = filter.group
  if (filter.kind !== undefined) values[':kind'] = filter.kind
  if (filter.namespace !== undefined) values[':namespace'] = filter.namespace
  if (after !== undefined) {
    values[':afterGroup'] = after.group
    values[':afterKind'] = after.kind
    values[':afterNamespace'] = after.namespace
    values[':afterName'] = after.name
  }
  return values
}
