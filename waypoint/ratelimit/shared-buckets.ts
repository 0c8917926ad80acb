// Token buckets that all data workers of a waypoint share, in a SharedArrayBuffer: a hash table of fixed size, changed by compare and
// exchange only. A new key takes the place of the fullest bucket among eight, which loses nothing where that was full.

import { hash } from 'node:crypto'
import { type BucketSize, type Buckets, type Taken, taken } from './token-bucket.ts'

const ways = 8
/** A slot: fingerprint of the key, and nanoseconds when its bucket is full again. */
const words = 2
const free = 0n
/** While a thread changes the owner of a slot. */
const busy = 1n
/** Looks at a set whose slots are all busy before one is taken away; a change takes less than one. */
const patience = 100_000

const longestFillSeconds = 1e9

/** Memory for so many buckets at least, to be handed to every worker. */
export function sharedBucketMemory(buckets: number): SharedArrayBuffer {
  const sets = 2 ** Math.ceil(Math.log2(Math.max(1, buckets / ways)))
  return new SharedArrayBuffer(sets * ways * words * BigInt64Array.BYTES_PER_ELEMENT)
}

export class SharedBuckets implements Buckets {
  readonly #slots: BigInt64Array
  readonly #sets: number

  /** @param memory of `sharedBucketMemory` */
  constructor(memory: SharedArrayBuffer) {
    this.#slots = new BigInt64Array(memory)
    this.#sets = this.#slots.length / (ways * words)
  }

  take(key: string, asked: BucketSize, cost: number, nowMs: number): Taken {
    const size = bounded(asked)
    const now = nanoseconds(nowMs)
    const price = nanoseconds((cost * 1_000) / size.perSecond)
    const at = this.#find(key, now)
    for (;;) {
      const known = Atomics.load(this.#slots, at + 1)
      const full = known <= now
      const after = price + (full ? now : known)
      const result = taken(Number(after - now) / 1e6, size, cost)
      if (!result.allowed || Atomics.compareExchange(this.#slots, at + 1, known, after) === known) return result
    }
  }

  give(key: string, asked: BucketSize, cost: number): void {
    const size = bounded(asked)
    const at = this.#known(fingerprint(key))
    if (at !== undefined) Atomics.sub(this.#slots, at + 1, nanoseconds((cost * 1_000) / size.perSecond))
  }

  #known({ set, mark }: Fingerprint): number | undefined {
    const first = (set % this.#sets) * ways * words
    for (let at = first; at < first + ways * words; at += words) {
      if (Atomics.load(this.#slots, at) === mark) return at
    }
    return undefined
  }

  /** Index of the key's slot, which it takes over if need be. */
  #find(key: string, now: bigint): number {
    const print = fingerprint(key)
    for (let turn = 0; ; turn += 1) {
      const known = this.#known(print)
      if (known !== undefined) return known
      // A thread that was ended while it changed an owner left the slot busy for ever.
      const stuck = turn > patience
      const at = this.#fullest(print, stuck)
      if (at === undefined) continue
      const owner = Atomics.load(this.#slots, at)
      if ((owner === busy && !stuck) || Atomics.compareExchange(this.#slots, at, owner, busy) !== owner) continue
      // Another thread may have made a slot for the same key meanwhile: then this one is free.
      const twice = this.#known(print) !== undefined
      Atomics.store(this.#slots, at + 1, now)
      Atomics.store(this.#slots, at, twice ? free : print.mark)
    }
  }

  #fullest({ set }: Fingerprint, busyToo: boolean): number | undefined {
    const first = (set % this.#sets) * ways * words
    let best: number | undefined
    for (let at = first; at < first + ways * words; at += words) {
      const owner = Atomics.load(this.#slots, at)
      if (owner === free) return at
      if (owner === busy && !busyToo) continue
      if (best === undefined || Atomics.load(this.#slots, at + 1) < Atomics.load(this.#slots, best + 1)) best = at
    }
    return best
  }
}

interface Fingerprint {
  readonly set: number
  readonly mark: bigint
}

/** By a hash without known collisions: nobody can make a key that empties the bucket of another. */
function fingerprint(key: string): Fingerprint {
  const digest = hash('sha256', key, 'buffer')
  const mark = digest.readBigInt64LE(8)
  return { set: digest.readUInt32LE(0), mark: mark === free || mark === busy ? 2n : mark }
}

/** A bucket fills in 30 years at the longest: 64 bits of nanoseconds hold 292. */
function bounded(size: BucketSize): BucketSize {
  const { capacity, perSecond } = size
  return capacity / perSecond <= longestFillSeconds ? size : { capacity, perSecond: capacity / longestFillSeconds }
}

function nanoseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1e6))
}
