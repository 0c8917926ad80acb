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

/**
 * Objects by key with optimistic concurrency. Revisions are one growing sequence over all objects. A write is durable when its
 * promise resolves. Errors: RESOURCE_NOT_FOUND, RESOURCE_CONFLICT (exists already, or another revision), STORE_FAILED.
 */
export interface Store {
  get(key: ObjectKey): Promise<StoredObject | undefined>
  /** Objects in key order, and the revision of the whole list, from which `watch` may continue. */
  list(filter: ListFilter): Promise<{ readonly items: readonly StoredObject[]; readonly revision: number }>
  create(key: ObjectKey, object: MeshObject): Promise<StoredObject>
  /** `expectedRevision` undefined writes unconditionally onto an existing object. */
  update(key: ObjectKey, object: MeshObject, expectedRevision: number | undefined): Promise<StoredObject>
  delete(key: ObjectKey, expectedRevision: number | undefined): Promise<StoredObject>
  /** Events after `fromRevision`, in order, until `signal` aborts. Throws RESOURCE_CONFLICT where that revision is compacted. */
  watch(filter: ListFilter, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreEvent>
  /** Small private records of the control plane (tokens, hosts, CA, allocation), outside the resource revisions. */
  readonly records: RecordStore
  close(): Promise<void>
}

/** Private records: JSON values by (bucket, key). `take` reads and deletes in one step, for single-use tokens. */
export interface RecordStore {
  get(bucket: string, key: string): Promise<unknown>
  put(bucket: string, key: string, value: unknown): Promise<void>
  take(bucket: string, key: string): Promise<unknown>
  delete(bucket: string, key: string): Promise<void>
  list(bucket: string): Promise<readonly { readonly key: string; readonly value: unknown }[]>
}
