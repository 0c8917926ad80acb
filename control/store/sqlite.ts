// The default store: one SQLite file, written through this process only. The API server writes, the compile step watches.
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { MeshError } from '../../core/base/errors.ts'
import { formatObjectKey, type MeshObject, type ObjectKey } from '../../core/model/resource.ts'
import { guarded, openFile, transaction } from './sqlite-file.ts'
import { listObjects, type SqliteListSource } from './sqlite-list.ts'
import { SqliteRecords } from './sqlite-records.ts'
import { keyValues, type ObjectRow, objectOf } from './sqlite-rows.ts'
import { type SqliteWatchSource, watchHistory } from './sqlite-watch.ts'
import type { ListFilter, ListPage, ObjectList, RecordStore, Store, StoredObject, StoreEvent } from './store.ts'

export interface SqliteOptions {
  /** Changes that a watcher can still continue from; a quarter more is kept between two compactions. */
  readonly historyLimit?: number
  /** Size that the file may reach; the disk is the limit where absent. */
  readonly maxBytes?: number
}

const defaultHistoryLimit = 10_000

/** Opens or creates the store in `file` (0600, its folder 0700). Throws STORE_FAILED with what to do about it. */
export async function openSqliteStore(file: string, options: SqliteOptions = {}): Promise<Store> {
  return new SqliteStore(file, openFile(file, options.maxBytes), options.historyLimit ?? defaultHistoryLimit)
}

class SqliteStore implements Store, SqliteListSource, SqliteWatchSource {
  readonly records: RecordStore
  readonly #file: string
  readonly #database: DatabaseSync
  readonly #historyLimit: number
  readonly #statements = new Map<string, StatementSync>()
  readonly #wakeups = new Set<() => void>()
  readonly #closing = new AbortController()

  constructor(file: string, database: DatabaseSync, historyLimit: number) {
    this.#file = file
    this.#database = database
    this.#historyLimit = historyLimit
    this.records = new SqliteRecords(this, this.#closing.signal)
  }

  async get(key: ObjectKey): Promise<StoredObject | undefined> {
    return this.read(() => this.#stored(key))
  }

  async list(filter: ListFilter, page: ListPage = {}): Promise<ObjectList> {
    return this.read(() => listObjects(this, filter, page))
  }

  async create(key: ObjectKey, object: MeshObject): Promise<StoredObject> {
    return this.#change(() => {
      if (this.#stored(key) !== undefined)
        throw new MeshError('RESOURCE_CONFLICT', `${formatObjectKey(key)} exists already`)
      return this.#write('ADDED', key, object, undefined)
    })
  }

  async update(key: ObjectKey, object: MeshObject, expectedRevision: number | undefined): Promise<StoredObject> {
    return this.#change(() => this.#write('MODIFIED', key, object, this.#current(key, expectedRevision)))
  }

  async delete(key: ObjectKey, expectedRevision: number | undefined): Promise<StoredObject> {
    return this.#change(() => {
      const current = this.#current(key, expectedRevision)
      return this.#write('DELETED', key, current.object, current)
    })
  }

  watch(filter: ListFilter, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreEvent> {
    return watchHistory(this, filter, fromRevision, AbortSignal.any([signal, this.#closing.signal]))
  }

  async close(): Promise<void> {
    this.#closing.abort()
    if (this.#database.isOpen) this.read(() => this.#database.close())
  }

  // what the watch and the records need of the file

  read<T>(work: () => T): T {
    return guarded(this.#file, work)
  }

  write<T>(work: () => T): T {
    return guarded(this.#file, () => transaction(this.#database, work))
  }

  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  counter(name: 'revision' | 'compacted' | 'records'): number {
    return Number(this.prepare('SELECT value FROM counters WHERE name = ?').get(name)!['value'])
  }

  onWrite(wake: () => void): () => void {
    this.#wakeups.add(wake)
    return () => this.#wakeups.delete(wake)
  }

  #stored(key: ObjectKey): StoredObject | undefined {
    const sql = 'SELECT * FROM objects WHERE grp = ? AND kind = ? AND namespace = ? AND name = ?'
    const row = this.prepare(sql).get(...keyValues(key)) as unknown as ObjectRow | undefined
    return row === undefined ? undefined : { key, object: objectOf(row.body, row.revision), revision: row.revision }
  }

  #current(key: ObjectKey, expectedRevision: number | undefined): StoredObject {
    const current = this.#stored(key)
    if (current === undefined) throw new MeshError('RESOURCE_NOT_FOUND', `${formatObjectKey(key)} does not exist`)
    if (expectedRevision !== undefined && current.revision !== expectedRevision) {
      const message = `${formatObjectKey(key)} is at revision ${current.revision}, not ${expectedRevision}: read it again and retry`
      throw new MeshError('RESOURCE_CONFLICT', message)
    }
    return current
  }

  #change(work: () => StoredObject): StoredObject {
    const stored = this.write(work)
    for (const wake of this.#wakeups) wake()
    return stored
  }

  #write(
    type: StoreEvent['type'],
    key: ObjectKey,
    object: MeshObject,
    previous: StoredObject | undefined,
  ): StoredObject {
    const revision = this.counter('revision') + 1
    const stored = { key, object: withRevision(object, revision), revision }
    const body = JSON.stringify(stored.object)
    this.prepare("UPDATE counters SET value = ? WHERE name = 'revision'").run(revision)
    if (type === 'DELETED') {
      this.prepare('DELETE FROM objects WHERE grp = ? AND kind = ? AND namespace = ? AND name = ?').run(
        ...keyValues(key),
      )
    } else {
      const sql =
        'INSERT OR REPLACE INTO objects (grp, kind, namespace, name, revision, body) VALUES (?, ?, ?, ?, ?, ?)'
      this.prepare(sql).run(...keyValues(key), revision, body)
    }
    const before = previous === undefined ? null : JSON.stringify(previous.object)
    const history =
      'INSERT INTO history (revision, type, grp, kind, namespace, name, body, previous) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'
    this.prepare(history).run(revision, type, ...keyValues(key), body, before)
    this.#compact(revision)
    return stored
  }

  #compact(revision: number): void {
    const compacted = this.counter('compacted')
    if (revision - compacted <= this.#historyLimit * 1.25) return
    const last = revision - this.#historyLimit
    this.prepare('DELETE FROM history WHERE revision <= ?').run(last)
    this.prepare("UPDATE counters SET value = ? WHERE name = 'compacted'").run(last)
  }
}

function withRevision(object: MeshObject, revision: number): MeshObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}
