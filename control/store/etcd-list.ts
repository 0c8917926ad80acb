// Reading ranges of etcd: all of a range, or a page of objects, at one revision whatever is written meanwhile.
import type { EtcdClient } from './etcd-client.ts'
import { behind, type EtcdKeys, fits, type KeyRange } from './etcd-keys.ts'
import { base64, type EtcdEntry, entryOf, type RangeAnswer, revisionOf, storedOf, textOf } from './etcd-messages.ts'
import type { ListFilter, ListPage, ObjectList, StoredObject } from './store.ts'

/** Entries of one answer; etcd holds a whole answer in memory. */
const pageSize = 500

interface RangeOptions {
  readonly limit?: number
  readonly revision?: number
  readonly keys_only?: boolean
  readonly count_only?: boolean
}

export class EtcdReader {
  readonly #client: EtcdClient
  readonly #keys: EtcdKeys

  constructor(client: EtcdClient, keys: EtcdKeys) {
    this.#client = client
    this.#keys = keys
  }

  /** Throws RESOURCE_CONFLICT where `revision` is compacted or ahead. */
  range(range: KeyRange, options: RangeOptions, signal?: AbortSignal): Promise<RangeAnswer> {
    const { limit, revision, ...rest } = options
    const body = { key: base64(range.start), range_end: base64(range.end), ...rest }
    const numbers = { ...(limit && { limit: String(limit) }), ...(revision && { revision: String(revision) }) }
    return this.#client.call<RangeAnswer>('/kv/range', { ...body, ...numbers }, signal && { signal })
  }

  /** Up to `limit` entries of a range, in pages of one revision; `count` is of all in the range. */
  async entries(range: KeyRange, limit = Number.POSITIVE_INFINITY, at?: number) {
    const items: EtcdEntry[] = []
    let { start } = range
    let revision = at
    let count: number | undefined
    for (;;) {
      const size = Math.min(pageSize, limit - items.length)
      const options = { limit: size, ...(revision === undefined ? {} : { revision }) }
      const answer = await this.range({ start, end: range.end }, options)
      revision ??= revisionOf(answer)
      count ??= Number(answer.count ?? 0)
      for (const kv of answer.kvs ?? []) items.push(entryOf(kv))
      if (answer.more !== true || items.length >= limit) return { items, revision, count }
      start = behind(items.at(-1)!.key)
    }
  }

  /** Objects in key order. Throws RESOURCE_CONFLICT where the revision of the page is compacted or ahead. */
  async objects(filter: ListFilter, page: ListPage): Promise<ObjectList> {
    const whole = this.#keys.objects(filter)
    // also where nothing fits: the revision must be told, and be there
    const first = await this.range(whole, { count_only: true, ...(page.revision && { revision: page.revision }) })
    const revision = page.revision ?? revisionOf(first)
    const start = page.after === undefined ? '' : behind(this.#keys.object(page.after))
    const ranges = whole.exact ? [whole] : await this.#rangesOf(filter, whole, revision)
    const items: StoredObject[] = []
    let total = 0
    for (const range of ranges) {
      if (start >= range.end) continue
      const rest = start > range.start ? { start, end: range.end } : range
      const limit = page.limit === undefined ? undefined : page.limit - items.length
      if (limit === 0) total += Number((await this.range(rest, { count_only: true, revision })).count ?? 0)
      else {
        const found = await this.entries(rest, limit, revision)
        total += found.count
        for (const entry of found.items) items.push(storedOf(this.#keys.objectKey(entry.key), entry))
      }
    }
    const remaining = total - items.length
    return { items, revision, more: remaining > 0, remaining }
  }

  /** A filter that is no single range, such as a namespace of all kinds: one range for each group and kind that there is. */
  async #rangesOf(filter: ListFilter, whole: KeyRange, revision: number): Promise<readonly KeyRange[]> {
    const ranges: KeyRange[] = []
    let { start } = whole
    while (start < whole.end) {
      const answer = await this.range({ start, end: whole.end }, { limit: 1, keys_only: true, revision })
      const kv = answer.kvs?.[0]
      if (kv === undefined) break
      const { group, kind } = this.#keys.objectKey(textOf(kv.key))
      if (fits({ group, kind, namespace: filter.namespace ?? '', name: '' }, filter)) {
        ranges.push(this.#keys.objects({ ...filter, group, kind }))
      }
      start = this.#keys.objects({ group, kind }).end
    }
    return ranges
  }
}
