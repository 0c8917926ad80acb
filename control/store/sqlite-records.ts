// Private records of the control plane in the SQLite store: JSON values by bucket and key.
import type { StatementSync } from 'node:sqlite'
import { MeshError } from '../../core/base/errors.ts'
import { type RecordStore, recordsPerTransaction, type StoreRecord } from './store.ts'

interface RecordFile {
  read<T>(work: () => T): T
  write<T>(work: () => T): T
  prepare(sql: string): StatementSync
  counter(name: 'records'): number
}

interface RecordRow {
  readonly value: string
  readonly revision: number
}

type Listener = (bucket: string, key: string) => void

export class SqliteRecords implements RecordStore {
  readonly #file: RecordFile
  readonly #closing: AbortSignal
  readonly #listeners = new Set<Listener>()

  /** Watches end with `closing`. */
  constructor(file: RecordFile, closing: AbortSignal) {
    this.#file = file
    this.#closing = closing
  }

  async get(bucket: string, key: string): Promise<unknown> {
    return this.#file.read(() => parsed(this.#row(bucket, key)))
  }

  async entry(bucket: string, key: string) {
    return this.#file.read(() => {
      const row = this.#row(bucket, key)
      return row === undefined ? undefined : { value: parsed(row), revision: row.revision }
    })
  }

  async put(bucket: string, key: string, value: unknown): Promise<void> {
    await this.putAll(bucket, [{ key, value }])
  }

  async putAll(bucket: string, records: readonly StoreRecord[]): Promise<void> {
    if (records.length > recordsPerTransaction) {
      throw new MeshError('LIMIT_REACHED', `${records.length} records at once; ${recordsPerTransaction} is the limit`)
    }
    this.#file.write(() => {
      for (const { key, value } of records) this.#write(bucket, key, value)
    })
    for (const { key } of records) this.#changed(bucket, key)
  }

  async swap(bucket: string, key: string, value: unknown, revision: number) {
    const swapped = this.#file.write(() => {
      if ((this.#row(bucket, key)?.revision ?? 0) !== revision) return undefined
      return { revision: this.#write(bucket, key, value) }
    })
    if (swapped !== undefined) this.#changed(bucket, key)
    return swapped
  }

  async take(bucket: string, key: string): Promise<unknown> {
    const value = this.#file.write(() => {
      const row = this.#row(bucket, key)
      this.#remove(bucket, key)
      return parsed(row)
    })
    this.#changed(bucket, key)
    return value
  }

  async delete(bucket: string, key: string): Promise<void> {
    this.#file.write(() => this.#remove(bucket, key))
    this.#changed(bucket, key)
  }

  async list(bucket: string): Promise<readonly StoreRecord[]> {
    return this.#file.read(() => {
      const rows = this.#file.prepare('SELECT key, value FROM records WHERE bucket = ? ORDER BY key').all(bucket)
      return rows.map((row) => ({ key: String(row['key']), value: JSON.parse(String(row['value'])) as unknown }))
    })
  }

  /** Remembers which keys changed, not what they were: a slow watcher costs no more than the bucket has keys. */
  async *watch(bucket: string, signal: AbortSignal): AsyncGenerator<StoreRecord> {
    const changed = new Set<string>()
    let wake = (): void => undefined
    const listener: Listener = (changedBucket, key) => {
      if (changedBucket !== bucket) return
      changed.add(key)
      wake()
    }
    const ends = AbortSignal.any([signal, this.#closing])
    const onAbort = (): void => wake()
    this.#listeners.add(listener)
    ends.addEventListener('abort', onAbort)
    try {
      for (const { key } of ends.aborted ? [] : await this.list(bucket)) changed.add(key)
      while (!ends.aborted) {
        const [key] = changed
        if (key === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
          continue
        }
        changed.delete(key)
        yield { key, value: await this.get(bucket, key) }
      }
    } finally {
      this.#listeners.delete(listener)
      ends.removeEventListener('abort', onAbort)
    }
  }

  #changed(bucket: string, key: string): void {
    for (const listener of this.#listeners) listener(bucket, key)
  }

  #row(bucket: string, key: string): RecordRow | undefined {
    const row = this.#file.prepare('SELECT value, revision FROM records WHERE bucket = ? AND key = ?').get(bucket, key)
    return row as unknown as RecordRow | undefined
  }

  #write(bucket: string, key: string, value: unknown): number {
    const revision = this.#file.counter('records') + 1
    this.#file.prepare("UPDATE counters SET value = ? WHERE name = 'records'").run(revision)
    const sql = 'INSERT OR REPLACE INTO records (bucket, key, value, revision) VALUES (?, ?, ?, ?)'
    this.#file.prepare(sql).run(bucket, key, JSON.stringify(value) ?? 'null', revision)
    return revision
  }

  #remove(bucket: string, key: string): void {
    this.#file.prepare('DELETE FROM records WHERE bucket = ? AND key = ?').run(bucket, key)
  }
}

function parsed(row: RecordRow | undefined): unknown {
  return row === undefined ? undefined : (JSON.parse(row.value) as unknown)
}
