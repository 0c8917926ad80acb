// Heads that were read lately: clients and servers repeat themselves to the byte, and then nothing is scanned, no string made and no field
// written anew. Shared by all readers of a thread that read by the same rules, so that an idle connection holds none of it.
import { FieldList, Headers } from '../http/message.ts'

/** Longer heads are not kept. */
const longestBytes = 2_048
const slots = 64
/** After so many different ones in a row it takes only some of them. */
const patience = 64
const someOf = 16

interface Entry<Head> {
  readonly bytes: Buffer
  readonly head: Head
  readonly fields: FieldList
}

export class HeadMemory<Head extends { readonly headers: Headers }> {
  readonly #entries: (Entry<Head> | undefined)[] = new Array(slots).fill(undefined)
  #missed = 0
  #length = 0

  /** Of the head that `recall` returned last. */
  get length(): number {
    return this.#length
  }

  /** The head that stands at `from`, where it is to the last byte one that was read before. It is the caller's to change. */
  recall(bytes: Buffer, from: number, end: number): Head | undefined {
    const entry = this.#entries[slotOf(bytes, from)]
    if (entry === undefined) return undefined
    const { length } = entry.bytes
    if (from + length > end || bytes.compare(entry.bytes, 0, length, from, from + length) !== 0) return undefined
    this.#missed = 0
    this.#length = length
    return { ...entry.head, headers: Headers.shared(entry.fields) }
  }

  /** `head` was read from these bytes, and nobody has changed it yet. */
  remember(bytes: Buffer, from: number, next: number, head: Head): void {
    this.#missed += 1
    if (next - from > longestBytes || (this.#missed > patience && this.#missed % someOf !== 0)) return
    this.#entries[slotOf(bytes, from)] = {
      bytes: Buffer.from(bytes.subarray(from, next)),
      head: { ...head },
      fields: new FieldList(head.headers.flat.slice()),
    }
  }
}

/** A message is mostly what was read at once: its length and some of its bytes tell most of them apart. */
function slotOf(bytes: Buffer, from: number): number {
  const some = (bytes[from + 6] ?? 0) * 31 + (bytes[from + 12] ?? 0) * 7 + (bytes[from + 24] ?? 0)
  return (bytes.length - from + some) & (slots - 1)
}
