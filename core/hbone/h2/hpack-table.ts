// The tables of HPACK: the static one (RFC 7541 appendix A) and the dynamic one (2.3.2, 4), which encoder and decoder keep in
// step. Used by hpack-encoder.ts and hpack-decoder.ts.

/** Name and value, one byte per character. */
export type HeaderField = readonly [name: string, value: string]

export const staticTable: readonly HeaderField[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  ...['200', '204', '206', '304', '400', '404', '500'].map((status): HeaderField => [':status', status]),
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...[
    'accept-language',
    'accept-ranges',
    'accept',
    'access-control-allow-origin',
    'age',
    'allow',
    'authorization',
    'cache-control',
    'content-disposition',
    'content-encoding',
    'content-language',
    'content-length',
    'content-location',
    'content-range',
    'content-type',
    'cookie',
    'date',
    'etag',
    'expect',
    'expires',
    'from',
    'host',
    'if-match',
    'if-modified-since',
    'if-none-match',
    'if-range',
    'if-unmodified-since',
    'last-modified',
    'link',
    'location',
    'max-forwards',
    'proxy-authenticate',
    'proxy-authorization',
    'range',
    'referer',
    'refresh',
    'retry-after',
    'server',
    'set-cookie',
    'strict-transport-security',
    'transfer-encoding',
    'user-agent',
    'vary',
    'via',
    'www-authenticate',
  ].map((name): HeaderField => [name, '']),
]

export const defaultTableBytes = 4_096
/** What each entry costs besides its characters (RFC 7541 4.1). */
export const entryOverhead = 32

/**
 * First in, first out, bounded in bytes. Entries are numbered from 0 as they come; the newest has HPACK index 62. A ring of
 * the greatest number of entries that can fit.
 */
export class DynamicTable {
  readonly #onEvict: ((entry: HeaderField, number: number) => void) | undefined
  readonly #entries: (HeaderField | undefined)[] = []
  #oldest = 0
  #next = 0
  #bytes = 0
  #capacity: number

  constructor(capacity: number, onEvict?: (entry: HeaderField, number: number) => void) {
    this.#capacity = capacity
    this.#onEvict = onEvict
  }

  get length(): number {
    return this.#next - this.#oldest
  }

  get bytes(): number {
    return this.#bytes
  }

  get capacity(): number {
    return this.#capacity
  }

  /** The number that the next entry will have. */
  get next(): number {
    return this.#next
  }

  resize(capacity: number): void {
    this.#capacity = capacity
    this.#shrink(capacity)
  }

  /** An entry larger than the table empties it and is not kept (RFC 7541 4.4). Returns whether it was kept. */
  add(entry: HeaderField): boolean {
    const bytes = entry[0].length + entry[1].length + entryOverhead
    this.#shrink(this.#capacity - bytes)
    if (bytes > this.#capacity) return false
    this.#entries.push(entry)
    this.#next += 1
    this.#bytes += bytes
    return true
  }

  /** The newest entry is 0. */
  at(age: number): HeaderField | undefined {
    return age < this.length ? this.#entries[this.#entries.length - 1 - age] : undefined
  }

  #shrink(limit: number): void {
    let gone = this.#entries.length - this.length
    while (this.#bytes > limit && this.length > 0) {
      const entry = this.#entries[gone]!
      this.#entries[gone] = undefined
      this.#bytes -= entry[0].length + entry[1].length + entryOverhead
      this.#onEvict?.(entry, this.#oldest)
      this.#oldest += 1
      gone += 1
    }
    // What was evicted leaves the array in batches, so that eviction costs the same for any size.
    if (gone > 64 && gone > this.length) this.#entries.splice(0, gone)
  }
}
