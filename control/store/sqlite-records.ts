// Private records of the control plane in the SQLite store: JSON values by bucket and key.
import type { StatementSync } from 'node:sqlite'
import type { RecordStore } from './store.ts'

interface RecordFile {
  read<T>(work: () => T): T
  write<T>(work: () => T): T
  prepare(sql: string): StatementSync
}

export class SqliteRecords implements RecordStore {
  readonly #file: RecordFile

  constructor(file: RecordFile) {
    this.#file = file
  }

  async get(bucket: string, key: string): Promise<unknown> {
    return this.#file.read(() => this.#value(bucket, key))
  }

  async put(bucket: string, key: string, value: unknown): Promise<void> {
    const text = JSON.stringify(value) ?? 'null'
    const sql = 'INSERT OR REPLACE INTO records (bucket, key, value) VALUES (?, ?, ?)'
    this.#file.write(() => this.#file.prepare(sql).run(bucket, key, text))
  }

  async take(bucket: string, key: string): Promise<unknown> {
    return this.#file.write(() => {
      const value = this.#value(bucket, key)
      this.#remove(bucket, key)
      return value
    })
  }

  async delete(bucket: string, key: string): Promise<void> {
    this.#file.write(() => this.#remove(bucket, key))
  }

  async list(bucket: string): Promise<readonly { readonly key: string; readonly value: unknown }[]> {
    return this.#file.read(() => {
      const rows = this.#file.prepare('SELECT key, value FROM records WHERE bucket = ? ORDER BY key').all(bucket)
      return rows.map((row) => ({ key: String(row['key']), value: JSON.parse(String(row['value'])) as unknown }))
    })
  }

  #value(bucket: string, key: string): unknown {
    const row = this.#file.prepare('SELECT value FROM records WHERE bucket = ? AND key = ?').get(bucket, key)
    return row === undefined ? undefined : (JSON.parse(String(row['value'])) as unknown)
  }

  #remove(bucket: string, key: string): void {
    this.#file.prepare('DELETE FROM records WHERE bucket = ? AND key = ?').run(bucket, key)
  }
}
