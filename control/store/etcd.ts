// The store for several replicas: etcd v3 through its JSON gateway. Revisions are etcd's own, shared with the records and whatever
// else lives in that etcd: one growing sequence with gaps.
import { MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import { formatObjectKey, type MeshObject, type ObjectKey } from '../../core/model/resource.ts'
import { EtcdClient, type EtcdClientOptions } from './etcd-client.ts'
import { EtcdCompaction } from './etcd-compaction.ts'
import { EtcdKeys } from './etcd-keys.ts'
import { EtcdReader } from './etcd-list.ts'
import { type EtcdEntry, storedOf, withRevision } from './etcd-messages.ts'
import { EtcdRecords } from './etcd-records.ts'
import { watchObjects } from './etcd-watch.ts'
import { EtcdWriter } from './etcd-write.ts'
import type { ListFilter, ListPage, ObjectList, RecordStore, Store, StoredObject, StoreEvent } from './store.ts'

export interface EtcdStoreOptions extends EtcdClientOptions {
  /** What all keys begin with: several meshes can share an etcd. */
  readonly prefix?: string
  /** Revisions of etcd that a watcher can still continue from; Infinity leaves compaction to etcd. */
  readonly historyLimit?: number
  readonly log?: Logger
}

export const defaultPrefix = '/culvert/'
const defaultHistoryLimit = 10_000
/** Unconditional writes are read and written again where somebody was faster; each such round is a write of somebody. */
const maxRounds = 200

/** Throws STORE_FAILED where no etcd 3.4 or newer answers, or the user may not read the prefix. */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<Store> {
  const client = new EtcdClient(options)
  try {
    await client.start()
    const store = new EtcdStore(client, options)
    await store.list({}, { limit: 1 })
    return store
  } catch (error: unknown) {
    client.close()
    throw error
  }
}

class EtcdStore implements Store {
  readonly records: RecordStore
  readonly #client: EtcdClient
  readonly #keys: EtcdKeys
  readonly #reader: EtcdReader
  readonly #writer: EtcdWriter
  readonly #compaction: EtcdCompaction

  constructor(
    client: EtcdClient,
    { prefix = defaultPrefix, historyLimit = defaultHistoryLimit, log }: EtcdStoreOptions,
  ) {
    const keys = new EtcdKeys(prefix)
    const compaction = new EtcdCompaction({ client, keys, historyLimit, log, writer: () => this.#writer })
    this.#client = client
    this.#keys = keys
    this.#reader = new EtcdReader(client, keys)
    this.#writer = new EtcdWriter(client, keys, (revision) => compaction.written(revision))
    this.#compaction = compaction
    this.records = new EtcdRecords({ client, keys, reader: this.#reader, writer: this.#writer })
  }

  async get(key: ObjectKey): Promise<StoredObject | undefined> {
    const entry = await this.#writer.read(this.#keys.object(key))
    return entry === undefined ? undefined : storedOf(key, entry)
  }

  list(filter: ListFilter, page: ListPage = {}): Promise<ObjectList> {
    return this.#reader.objects(filter, page)
  }

  async create(key: ObjectKey, object: MeshObject): Promise<StoredObject> {
    const write = { key: this.#keys.object(key), value: { json: object }, revision: 0 }
    const written = await this.#writer.write([write])
    if (!written.done) throw new MeshError('RESOURCE_CONFLICT', `${formatObjectKey(key)} exists already`)
    return { key, object: withRevision(object, written.revision), revision: written.revision }
  }

  async update(key: ObjectKey, object: MeshObject, expectedRevision: number | undefined): Promise<StoredObject> {
    const { revision } = await this.#replace(key, expectedRevision, { json: object })
    return { key, object: withRevision(object, revision), revision }
  }

  async delete(key: ObjectKey, expectedRevision: number | undefined): Promise<StoredObject> {
    const { revision, before } = await this.#replace(key, expectedRevision, undefined)
    return storedOf(key, before!, revision)
  }

  watch(
    filter: ListFilter,
    fromRevision: number,
    signal: AbortSignal,
    onProgress?: (revision: number) => void,
  ): AsyncIterable<StoreEvent> {
    const source = { client: this.#client, keys: this.#keys, reader: this.#reader }
    return watchObjects(source, filter, fromRevision, signal, onProgress)
  }

  async close(): Promise<void> {
    this.#client.close()
    await this.#compaction.settle()
  }

  /** Replaces what is there, at `expected` where that is given; an update of a known revision needs no look before. */
  async #replace(key: ObjectKey, expected: number | undefined, value: { readonly json: MeshObject } | undefined) {
    const path = this.#keys.object(key)
    let before = expected === undefined || value === undefined ? await this.#expected(key, expected) : undefined
    for (let round = 0; round < maxRounds; round += 1) {
      const write = { key: path, revision: before?.revision ?? expected!, ...(value === undefined ? {} : { value }) }
      const written = await this.#writer.write([write])
      if (written.done) return { revision: written.revision, before }
      before = checked(key, written.current, expected)
    }
    const text = `${formatObjectKey(key)} was changed by others ${maxRounds} times meanwhile: try again`
    throw new MeshError('STORE_FAILED', text)
  }

  async #expected(key: ObjectKey, expected: number | undefined): Promise<EtcdEntry> {
    return checked(key, await this.#writer.read(this.#keys.object(key)), expected)
  }
}

function checked(key: ObjectKey, current: EtcdEntry | undefined, expected: number | undefined): EtcdEntry {
  if (current === undefined) throw new MeshError('RESOURCE_NOT_FOUND', `${formatObjectKey(key)} does not exist`)
  if (expected === undefined || current.revision === expected) return current
  const text = `${formatObjectKey(key)} is at revision ${current.revision}, not ${expected}: read it again and retry`
  throw new MeshError('RESOURCE_CONFLICT', text)
}
