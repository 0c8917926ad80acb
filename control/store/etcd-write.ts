// Conditional writes to etcd, and the truth about them. Each names the revision that it replaces and carries an id, so it can be
// sent again after a lost answer: it happens once at most, and whether it was one's own shows by the id. Used by etcd.ts and
// etcd-records.ts.
import { randomBytes } from 'node:crypto'
import { MeshError } from '../../core/base/errors.ts'
import type { CallTrace, EtcdClient } from './etcd-client.ts'
import type { EtcdKeys } from './etcd-keys.ts'
import {
  base64,
  type EtcdEntry,
  encodeValue,
  entryOf,
  type RangeAnswer,
  revisionOf,
  type TxnAnswer,
} from './etcd-messages.ts'

export interface EtcdWrite {
  readonly key: string
  /** Absent to delete. */
  readonly value?: { readonly json: unknown }
  /** Revision of what is replaced; 0 where there must be nothing. */
  readonly revision: number
}

export type Written =
  | { readonly done: true; readonly revision: number }
  /** `current`: what is under the first key instead. */
  | { readonly done: false; readonly current: EtcdEntry | undefined }

/** Versions of a key that are looked at for one's own write; more writes by others within one call are not to be expected. */
const maxSteps = 16

export class EtcdWriter {
  readonly #client: EtcdClient
  readonly #keys: EtcdKeys
  readonly #onWrite: (revision: number) => void

  constructor(client: EtcdClient, keys: EtcdKeys, onWrite: (revision: number) => void) {
    this.#client = client
    this.#keys = keys
    this.#onWrite = onWrite
  }

  /** All of the writes or none. Throws STORE_FAILED where nobody can say whether it happened. */
  async write(writes: readonly EtcdWrite[]): Promise<Written> {
    const id = randomBytes(12).toString('base64url')
    const trace: CallTrace = { unknown: false }
    const answer = await this.#client.call<TxnAnswer>('/kv/txn', this.#transaction(writes, id), { trace })
    if (answer.succeeded === true) return this.#done(revisionOf(answer))
    const found = (answer.responses ?? []).map(({ response_range: range }) => entryIn(range))
    if (trace.unknown) {
      const revision = await this.#ownRevision(writes, id, found)
      if (revision !== undefined) return this.#done(revision)
    }
    return { done: false, current: found[0] }
  }

  async read(key: string, revision = 0): Promise<EtcdEntry | undefined> {
    const body = { key: base64(key), ...(revision === 0 ? {} : { revision: String(revision) }) }
    return entryIn(await this.#client.call<RangeAnswer>('/kv/range', body))
  }

  #done(revision: number): Written {
    this.#onWrite(revision)
    return { done: true, revision }
  }

  #transaction(writes: readonly EtcdWrite[], id: string): object {
    const deletes = writes.some(({ value }) => value === undefined)
    const compare = writes.map(({ key, revision }) => {
      return { key: base64(key), target: 'MOD', result: 'EQUAL', mod_revision: String(revision) }
    })
    const success = writes.map(({ key, value }) =>
      value === undefined
        ? { request_delete_range: { key: base64(key) } }
        : { request_put: { key: base64(key), value: encodeValue(id, value.json) } },
    )
    const mark = { request_put: { key: base64(this.#keys.deletion), value: encodeValue(id, null) } }
    const failure = writes.map(({ key }) => ({ request_range: { key: base64(key) } }))
    return { compare, success: deletes ? [...success, mark] : success, failure }
  }

  /** The revision of an earlier attempt that did happen; undefined where none did. */
  async #ownRevision(
    writes: readonly EtcdWrite[],
    id: string,
    found: readonly (EtcdEntry | undefined)[],
  ): Promise<number | undefined> {
    let unknown: string | undefined
    for (const [index, { key, value, revision }] of writes.entries()) {
      const trail = value === undefined ? this.#keys.deletion : key
      const latest = value === undefined ? await this.read(trail) : found[index]
      const own = await this.#lookBack(trail, latest, id, revision)
      if (own === 'unknown') unknown = key
      else return own
    }
    if (unknown === undefined) return undefined
    const message = `etcd did not answer whether ${unknown} was written, and others have written it since: read it again`
    throw new MeshError('STORE_FAILED', message)
  }

  /** Goes back in the versions of a key to a write with this id, as far as `since`. */
  async #lookBack(
    key: string,
    latest: EtcdEntry | undefined,
    id: string,
    since: number,
  ): Promise<number | undefined | 'unknown'> {
    let entry = latest
    for (let step = 0; step < maxSteps; step += 1) {
      if (entry === undefined) return 'unknown'
      if (entry.id === id) return entry.revision
      // what was to be replaced is still there, or went before
      if (entry.revision <= since) return undefined
      entry = await this.#before(key, entry.revision)
    }
    return 'unknown'
  }

  async #before(key: string, revision: number): Promise<EtcdEntry | undefined> {
    try {
      return await this.read(key, revision - 1)
    } catch (error: unknown) {
      // compacted: nobody knows any more
      if (error instanceof MeshError && error.code === 'RESOURCE_CONFLICT') return undefined
      throw error
    }
  }
}

function entryIn(range: RangeAnswer | undefined): EtcdEntry | undefined {
  const kv = range?.kvs?.[0]
  return kv === undefined ? undefined : entryOf(kv)
}
