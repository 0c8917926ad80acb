// Messages of etcd's JSON gateway as far as the store reads them, and the values that it keeps. 64-bit numbers are strings, fields
// that are zero or false are absent, keys and values are base64.
import type { MeshObject, ObjectKey } from '../../core/model/resource.ts'
import type { StoredObject } from './store.ts'

export interface WireKeyValue {
  readonly key: string
  readonly value?: string
  readonly create_revision?: string
  readonly mod_revision?: string
}

interface Header {
  readonly revision?: string
}

export interface RangeAnswer {
  readonly header: Header
  readonly kvs?: readonly WireKeyValue[]
  readonly more?: boolean
  readonly count?: string
}

export interface TxnAnswer {
  readonly header: Header
  readonly succeeded?: boolean
  readonly responses?: readonly { readonly response_range?: RangeAnswer }[]
}

export interface WatchMessage {
  readonly result?: {
    readonly header: Header
    readonly created?: boolean
    readonly canceled?: boolean
    /** More of the same message follows. */
    readonly fragment?: boolean
    readonly cancel_reason?: string
    readonly compact_revision?: string
    readonly events?: readonly WireEvent[]
  }
  readonly error?: { readonly grpc_code?: number; readonly message?: string }
}

export interface WireEvent {
  /** Absent for PUT. */
  readonly type?: 'PUT' | 'DELETE'
  readonly kv: WireKeyValue
  readonly prev_kv?: WireKeyValue
}

/** What lies under a key. `id` names the write, so that a writer that lost the answer knows its own again. */
export interface EtcdEntry {
  readonly key: string
  readonly id: string
  readonly value: unknown
  readonly revision: number
  readonly created: number
}

export function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}

export function textOf(encoded: string | undefined): string {
  return Buffer.from(encoded ?? '', 'base64').toString('utf8')
}

export function revisionOf(answer: { readonly header: Header }): number {
  return Number(answer.header.revision ?? 0)
}

export function encodeValue(id: string, value: unknown): string {
  return base64(JSON.stringify({ id, value: value ?? null }))
}

export function entryOf(kv: WireKeyValue): EtcdEntry {
  const { id, value } = JSON.parse(textOf(kv.value)) as { id: string; value: unknown }
  return { key: textOf(kv.key), id, value, revision: Number(kv.mod_revision), created: Number(kv.create_revision) }
}

/** The object of an entry; `revision` where it is not that of its last write. */
export function storedOf(key: ObjectKey, entry: EtcdEntry, revision: number = entry.revision): StoredObject {
  return { key, object: withRevision(entry.value as MeshObject, revision), revision }
}

export function withRevision(object: MeshObject, revision: number): MeshObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}
