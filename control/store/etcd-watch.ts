// Watching objects in etcd: what its events mean to the store.
import { MeshError } from '../../core/base/errors.ts'
import { formatObjectKey } from '../../core/model/resource.ts'
import type { EtcdClient } from './etcd-client.ts'
import { type EtcdKeys, fits } from './etcd-keys.ts'
import type { EtcdReader } from './etcd-list.ts'
import { entryOf, storedOf, textOf, type WireEvent } from './etcd-messages.ts'
import { watchRange } from './etcd-stream.ts'
import type { ListFilter, StoreEvent } from './store.ts'

export interface EtcdWatchSource {
  readonly client: EtcdClient
  readonly keys: EtcdKeys
  readonly reader: EtcdReader
}

/** Events after `fromRevision` until `signal` aborts or the client closes. Throws RESOURCE_CONFLICT where it is compacted or ahead. */
export async function* watchObjects(
  { client, keys, reader }: EtcdWatchSource,
  filter: ListFilter,
  fromRevision: number,
  signal: AbortSignal,
  onProgress?: (revision: number) => void,
): AsyncGenerator<StoreEvent> {
  const objects = keys.objects(filter)
  const isWhole = Object.keys(filter).length === 0
  const range = isWhole && onProgress !== undefined ? { ...keys.objectsAndLease(), exact: true } : objects
  const ends = AbortSignal.any([signal, client.closing])
  if (ends.aborted) return
  try {
    // etcd would wait for a revision that is ahead, and drop the deletions of the one that it was compacted to
    if (fromRevision > 0) await reader.range(range, { revision: fromRevision, count_only: true }, ends)
  } catch (error: unknown) {
    if (ends.aborted) return
    throw error
  }
  for await (const events of watchRange(client, { range, revision: fromRevision, previous: true }, signal)) {
    for (const event of events) {
      if (ends.aborted) return
      const path = textOf(event.kv.key)
      if (!keys.isObject(path)) {
        onProgress?.(Number(event.kv.mod_revision))
        continue
      }
      const key = keys.objectKey(path)
      if (range.exact || fits(key, filter)) yield eventOf(event, keys)
    }
  }
}

function eventOf(event: WireEvent, keys: EtcdKeys): StoreEvent {
  const revision = Number(event.kv.mod_revision)
  const key = keys.objectKey(textOf(event.kv.key))
  if (event.type !== 'DELETE' && event.kv.create_revision === event.kv.mod_revision) {
    return { type: 'ADDED', stored: storedOf(key, entryOf(event.kv)) }
  }
  if (event.prev_kv === undefined) {
    const text = `the state of ${formatObjectKey(key)} before revision ${revision} is not in the history any more: list again`
    throw new MeshError('RESOURCE_CONFLICT', text)
  }
  const before = entryOf(event.prev_kv)
  const previous = storedOf(key, before).object
  if (event.type === 'DELETE') return { type: 'DELETED', stored: storedOf(key, before, revision), previous }
  return { type: 'MODIFIED', stored: storedOf(key, entryOf(event.kv)), previous }
}
