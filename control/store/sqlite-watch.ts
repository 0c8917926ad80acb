// Watching the SQLite store: a cursor over the history table that sleeps until somebody writes. A slow watcher costs no memory;
// one that falls behind the compaction is told so.
import type { StatementSync } from 'node:sqlite'
import { MeshError } from '../../core/base/errors.ts'
import { filterClause, type HistoryRow, keyOf, objectOf, parameters } from './sqlite-rows.ts'
import type { ListFilter, StoreEvent } from './store.ts'

export interface SqliteWatchSource {
  read<T>(work: () => T): T
  prepare(sql: string): StatementSync
  counter(name: 'revision' | 'compacted'): number
  /** Calls `wake` after every write; returns how to stop that. */
  onWrite(wake: () => void): () => void
}

/** Events read at once; the next page is read when these are consumed. */
const pageSize = 200

/** Events after `fromRevision` until `signal` aborts. Throws RESOURCE_CONFLICT where that revision is compacted or ahead. */
export async function* watchHistory(
  source: SqliteWatchSource,
  filter: ListFilter,
  fromRevision: number,
  signal: AbortSignal,
): AsyncGenerator<StoreEvent> {
  let cursor = fromRevision
  let written = false
  let wake = (): void => {}
  const onChange = (): void => {
    written = true
    wake()
  }
  const stop = source.onWrite(onChange)
  signal.addEventListener('abort', onChange)
  try {
    while (!signal.aborted) {
      written = false
      const page = source.read(() => nextPage(source, filter, cursor))
      for (const event of page.events) {
        if (signal.aborted) return
        yield event
      }
      cursor = page.cursor
      if (page.more || written || signal.aborted) continue
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  } finally {
    stop()
    signal.removeEventListener('abort', onChange)
  }
}

interface Page {
  readonly events: readonly StoreEvent[]
  /** Everything up to here has been seen, whatever the filter left out. */
  readonly cursor: number
  readonly more: boolean
}

function nextPage(source: SqliteWatchSource, filter: ListFilter, cursor: number): Page {
  const revision = source.counter('revision')
  const compacted = source.counter('compacted')
  if (cursor < compacted || cursor > revision) {
    const message = `revision ${cursor} is not in the history any more (${compacted} to ${revision}): list again`
    throw new MeshError('RESOURCE_CONFLICT', message)
  }
  const sql = `SELECT * FROM history WHERE revision > :after AND ${filterClause(filter)} ORDER BY revision LIMIT ${pageSize}`
  const rows = source.prepare(sql).all({ ...parameters(filter), ':after': cursor }) as unknown as readonly HistoryRow[]
  const more = rows.length === pageSize
  return { events: rows.map(eventOf), cursor: more ? rows[rows.length - 1]!.revision : revision, more }
}

function eventOf(row: HistoryRow): StoreEvent {
  const stored = { key: keyOf(row), object: objectOf(row.body, row.revision), revision: row.revision }
  if (row.previous === null) return { type: row.type, stored }
  // a body carries the revision at which it was written
  return { type: row.type, stored, previous: JSON.parse(row.previous) as StoreEvent['stored']['object'] }
}
