// Lists of the SQLite store: pages in key order, of the present state or of an older one that the history still knows.
import type { StatementSync } from 'node:sqlite'
import { MeshError } from '../../core/base/errors.ts'
import { afterClause, filterClause, keyOf, type ObjectRow, objectOf, parameters } from './sqlite-rows.ts'
import type { ListFilter, ListPage, ObjectList, StoredObject } from './store.ts'

export interface SqliteListSource {
  prepare(sql: string): StatementSync
  counter(name: 'revision' | 'compacted'): number
}

const columns = 'grp, kind, namespace, name, revision, body'
/** A body carries the revision at which it was written. */
const bodyRevision = "CAST(json_extract(body, '$.metadata.resourceVersion') AS INTEGER)"

/** Throws RESOURCE_CONFLICT where the revision of the page is compacted or ahead. */
export function listObjects(source: SqliteListSource, filter: ListFilter, page: ListPage): ObjectList {
  const now = source.counter('revision')
  const revision = page.revision ?? now
  const compacted = source.counter('compacted')
  if (revision < compacted || revision > now) {
    const message = `revision ${revision} is not in the history any more (${compacted} to ${now}): list again`
    throw new MeshError('RESOURCE_CONFLICT', message)
  }
  const from = `(${revision === now ? present(filter, page) : past(filter, page)})`
  const values = { ...parameters(filter, page.after), ...(revision === now ? {} : { ':at': revision }) }
  const limit = page.limit === undefined ? '' : ' LIMIT :limit'
  const statement = source.prepare(`SELECT * FROM ${from} ORDER BY grp, kind, namespace, name${limit}`)
  const rows = statement.all(page.limit === undefined ? values : { ...values, ':limit': page.limit })
  const items = (rows as unknown as readonly ObjectRow[]).map(storedOf)
  const isFull = page.limit !== undefined && items.length >= page.limit
  const count = isFull ? Number(source.prepare(`SELECT COUNT(*) AS count FROM ${from}`).get(values)!['count']) : 0
  const remaining = isFull ? count - items.length : 0
  return { items, revision, more: remaining > 0, remaining }
}

function present(filter: ListFilter, page: ListPage): string {
  return `SELECT ${columns} FROM objects WHERE ${filterClause(filter)} AND ${afterClause(page.after)}`
}

/**
 * What has not changed since, and what was there before the first change since. The columns beside MIN() are of the row that
 * has it (sqlite.org/lang_select.html#bareagg).
 */
function past(filter: ListFilter, page: ListPage): string {
  const first = `SELECT grp, kind, namespace, name, MIN(revision) AS revision, previous AS body FROM history
    WHERE revision > :at AND ${filterClause(filter)} AND ${afterClause(page.after)} GROUP BY grp, kind, namespace, name`
  return `${present(filter, page)} AND revision <= :at UNION ALL SELECT grp, kind, namespace, name, ${bodyRevision}, body FROM (${first}) WHERE body IS NOT NULL`
}

function storedOf(row: ObjectRow): StoredObject {
  return { key: keyOf(row), object: objectOf(row.body, row.revision), revision: row.revision }
}
