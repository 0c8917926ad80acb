// Private records of the control plane in etcd: JSON values by bucket and key, shared by all replicas.

import { sleep } from '../../core/base/deadline.ts'
import { MeshError } from '../../core/base/errors.ts'
import type { EtcdClient } from './etcd-client.ts'
import type { EtcdKeys } from './etcd-keys.ts'
import type { EtcdReader } from './etcd-list.ts'
import { type EtcdEntry, entryOf, textOf } from './etcd-messages.ts'
import { watchRange } from './etcd-stream.ts'
import type { EtcdWriter } from './etcd-write.ts'
import { type RecordStore, recordsPerTransaction, type StoreRecord } from './store.ts'

export interface EtcdRecordsDeps {
  readonly client: EtcdClient
  readonly keys: EtcdKeys
  readonly reader: EtcdReader
  readonly writer: EtcdWriter
}

/** Rounds of read and conditional write before one gives up: each lost round is a write of somebody else. */
const maxRounds = 200

export class EtcdRecords implements RecordStore {
  readonly #deps: EtcdRecordsDeps

  constructor(deps: EtcdRecordsDeps) {
    this.#deps = deps
  }

  async get(bucket: string, key: string): Promise<unknown> {
    return (await this.entry(bucket, key))?.value
  }

  async entry(bucket: string, key: string) {
    const entry = await this.#deps.writer.read(this.#deps.keys.record(bucket, key))
    return entry === undefined ? undefined : { value: entry.value, revision: entry.revision }
  }

  async put(bucket: string, key: string, value: unknown): Promise<void> {
    await this.putAll(bucket, [{ key, value }])
  }

  async putAll(bucket: string, records: readonly StoreRecord[]): Promise<void> {
    if (records.length > recordsPerTransaction) {
      throw new MeshError('LIMIT_REACHED', `${records.length} records at once; ${recordsPerTransaction} is the limit`)
    }
    // of two for one key the later counts; etcd refuses both in one transaction
    const values = new Map(records.map(({ key, value }) => [this.#deps.keys.record(bucket, key), value]))
    if (values.size === 0) return
    await this.#rounds(async () => {
      const current = await Promise.all([...values.keys()].map((key) => this.#deps.writer.read(key)))
      const writes = [...values].map(([key, json], index) => {
        return { key, value: { json }, revision: current[index]?.revision ?? 0 }
      })
      return (await this.#deps.writer.write(writes)).done ? { done: true } : undefined
    })
  }

  async swap(bucket: string, key: string, value: unknown, revision: number) {
    const write = { key: this.#deps.keys.record(bucket, key), value: { json: value }, revision }
    const written = await this.#deps.writer.write([write])
    return written.done ? { revision: written.revision } : undefined
  }

  async take(bucket: string, key: string): Promise<unknown> {
    return (await this.#remove(bucket, key))?.value
  }

  async delete(bucket: string, key: string): Promise<void> {
    await this.#remove(bucket, key)
  }

  async list(bucket: string): Promise<readonly StoreRecord[]> {
    const { items } = await this.#deps.reader.entries(this.#deps.keys.records(bucket))
    return items.map((entry) => this.#recordOf(bucket, entry))
  }

  async *watch(bucket: string, signal: AbortSignal): AsyncGenerator<StoreRecord> {
    const { client, keys, reader } = this.#deps
    const range = keys.records(bucket)
    const known = new Set<string>()
    const ends = AbortSignal.any([signal, client.closing])
    while (!ends.aborted) {
      try {
        const { items, revision } = await reader.entries(range)
        const present = items.map((entry) => this.#recordOf(bucket, entry))
        for (const record of changesTo(known, present)) {
          if (ends.aborted) return
          yield record
        }
        for await (const events of watchRange(client, { range, revision, previous: false }, signal)) {
          for (const { type, kv } of events) {
            const key = keys.recordKey(bucket, textOf(kv.key))
            if (type === 'DELETE') known.delete(key)
            else known.add(key)
            if (ends.aborted) return
            yield { key, value: type === 'DELETE' ? undefined : entryOf(kv).value }
          }
        }
      } catch (error: unknown) {
        if (ends.aborted) return
        // compacted while nobody could be reached: only the last values count
        if (!(error instanceof MeshError && error.code === 'RESOURCE_CONFLICT')) throw error
      }
    }
  }

  /** The entry that this call deleted; undefined where there was none. */
  #remove(bucket: string, key: string): Promise<EtcdEntry | undefined> {
    const { writer, keys } = this.#deps
    const path = keys.record(bucket, key)
    return this.#rounds(async () => {
      const entry = await writer.read(path)
      if (entry === undefined) return { done: undefined }
      return (await writer.write([{ key: path, revision: entry.revision }])).done ? { done: entry } : undefined
    })
  }

  async #rounds<T>(round: () => Promise<{ readonly done: T } | undefined>): Promise<T> {
    for (let count = 0; count < maxRounds; count += 1) {
      const result = await round()
      if (result !== undefined) return result.done
      await sleep(Math.random() * Math.min(count, 20), this.#deps.client.closing)
    }
    throw new MeshError(
      'STORE_FAILED',
      `a record of etcd was changed by others ${maxRounds} times meanwhile: try again`,
    )
  }

  #recordOf(bucket: string, { key, value }: EtcdEntry): StoreRecord {
    return { key: this.#deps.keys.recordKey(bucket, key), value }
  }
}

/** What is there, after what is gone; `known` becomes what is there. */
function changesTo(known: Set<string>, present: readonly StoreRecord[]): readonly StoreRecord[] {
  const keys = new Set(present.map(({ key }) => key))
  const gone = [...known].filter((key) => !keys.has(key)).map((key) => ({ key, value: undefined }))
  known.clear()
  for (const key of keys) known.add(key)
  return [...gone, ...present]
}
