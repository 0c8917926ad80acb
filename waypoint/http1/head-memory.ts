// The head that a connection read last: clients and servers repeat themselves to the byte, and then nothing is scanned, no string made
// and no field written anew. One for each reader, since what a head means depends on its connection.
import { FieldList, Headers } from '../http/message.ts'

/** Longer heads are not kept: each connection holds one. */
const longestBytes = 2_048
/** After so many different ones in a row it looks only now and then. */
const patience = 8
const nowAndThen = 64

export class HeadMemory<Head extends { readonly headers: Headers }> {
  #bytes: Buffer | undefined
  #head: Head | undefined
  #fields: FieldList | undefined
  #missed = 0

  /** Of the head that `recall` returned last. */
  get length(): number {
    return this.#bytes?.length ?? 0
  }

  /** The head that stands at `from`, where it is the one of before to its last byte. It is the caller's to change. */
  recall(bytes: Buffer, from: number, end: number): Head | undefined {
    const known = this.#bytes
    if (known === undefined || this.#head === undefined || this.#fields === undefined) return undefined
    const next = from + known.length
    if (next > end || bytes.compare(known, 0, known.length, from, next) !== 0) return undefined
    this.#missed = 0
    return { ...this.#head, headers: Headers.shared(this.#fields) }
  }

  /** `head` was read from these bytes, and nobody has changed it yet. */
  remember(bytes: Buffer, from: number, next: number, head: Head): void {
    this.#missed += 1
    if (next - from > longestBytes || (this.#missed > patience && this.#missed % nowAndThen !== 0)) return
    this.#bytes = Buffer.from(bytes.subarray(from, next))
    this.#head = { ...head }
    this.#fields = new FieldList(head.headers.flat.slice())
  }

  /** What was read no longer means the same. */
  forget(): void {
    this.#bytes = undefined
    this.#head = undefined
    this.#fields = undefined
  }
}
