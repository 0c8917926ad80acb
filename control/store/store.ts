// The store's interface: what the API server, the compile step and the feed know of persistence. SQLite is the default.
import type { MeshObject, ObjectKey } from '../../core/model/resource.ts'

/** An object with the revision of its last write; `metadata.resourceVersion` is that revision as a decimal string. */
export interface StoredObject {
  readonly key: ObjectKey
  readonly object: MeshObject
  readonly revision: number
}

export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** For DELETED the last state, with the revision of the deletion. */
  readonly stored: StoredObject
  /** The state before, for MODIFIED and DELETED: a filtered watch tells by it what left the filter. */
  readonly previous?: MeshObject
}

export interface ListFilter {
  readonly group?: string
  readonly kind?: string
  readonly namespace?: string
}

/** A part of a list. Pages of one list name the revision of the first, and then belong together whatever is written meanwhile. */
export interface ListPage {
  /** Objects at most, from 1; all where absent. */
  readonly limit?: number
  /** The last object of the page before; it need not exist any more. */
  readonly after?: ObjectKey
  /** The state as it was at this revision; the present one where absent. */
  readonly revision?: number
}

export interface ObjectList {
  readonly items: readonly StoredObject[]
  /** Of the whole list: `watch` may continue from it. */
  readonly revision: number
  /** Whether objects follow this page, and how many. */
  readonly more: boolean
  readonly remaining: number
}

/**
 * Objects by key with optimistic concurrency. Revisions are one growing sequence over all objects, with gaps. A write is durable
 * when its promise resolves. Errors: RESOURCE_NOT_FOUND, RESOURCE_CONFLICT (exists already, or another revision), STORE_FAILED.
 */
export interface Store {
  get(key: ObjectKey): Promise<StoredObject | undefined>
  /** Objects in key order (by UTF-8 bytes). Throws RESOURCE_CONFLICT where the revision of the page is compacted or ahead. */
  list(filter: ListFilter, page?: ListPage): Promise<ObjectList>
  create(key: ObjectKey, object: MeshObject): Promise<StoredObject>
  /** `expectedRevision` undefined writes unconditionally onto an existing object. */
  update(key: ObjectKey, object: MeshObject, expectedRevision: number | undefined): Promise<StoredObject>
  delete(key: ObjectKey, expectedRevision: number | undefined): Promise<StoredObject>
  /**
   * Events after `fromRevision`, in order, until `signal` aborts. Throws RESOURCE_CONFLICT where that revision is compacted.
   * `onProgress` is told between events up to which revision they have come, where revisions also grow without objects.
   */
  watch(
    filter: ListFilter,
    fromRevision: number,
    signal: AbortSignal,
    onProgress?: (revision: number) => void,
  ): AsyncIterable<StoreEvent>
  /** Small private records of the control plane (tokens, hosts, CA, allocation), outside the resource revisions. */
  readonly records: RecordStore
  close(): Promise<void>
}

export interface StoreRecord {
  readonly key: string
  readonly value: unknown
}

/** etcd takes 128 operations in one transaction unless told otherwise. */
export const recordsPerTransaction = 100

/**
 * Private records: JSON values by (bucket, key). Each write gives a record a new revision, greater than all before, that belongs to
 * `swap` only: it says nothing about the revisions of objects.
 */
export interface RecordStore {
  get(bucket: string, key: string): Promise<unknown>
  /** The value and the revision of its last write. */
  entry(bucket: string, key: string): Promise<{ readonly value: unknown; readonly revision: number } | undefined>
  put(bucket: string, key: string, value: unknown): Promise<void>
  /** All of them or none. Throws LIMIT_REACHED above `recordsPerTransaction`. */
  putAll(bucket: string, records: readonly StoreRecord[]): Promise<void>
  /**
   * Writes only where the record is still at `revision`; 0 means that there must be none.
   * @returns the new revision; undefined where somebody else was faster
   */
  swap(
    bucket: string,
    key: string,
    value: unknown,
    revision: number,
  ): Promise<{ readonly revision: number } | undefined>
  /** Reads and deletes in one step, for single-use tokens. */
  take(bucket: string, key: string): Promise<unknown>
  delete(bucket: string, key: string): Promise<void>
  /** In the order of keys. */
  list(bucket: string): Promise<readonly StoreRecord[]>
  /**
   * Everything that is there, then what changes until `signal` aborts; `value` is undefined where the record is gone. The last
   * value of a record always comes; one that is replaced at once may be left out. Throws STORE_FAILED: watch again.
   */
  watch(bucket: string, signal: AbortSignal): AsyncIterable<StoreRecord>
}
