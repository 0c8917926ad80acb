// Read buffers that are used again. Node allocates 64 KiB for every read of a socket, however small, and under load the garbage
// collector does little else (measured: a third of the CPU of bulk, half of the requests per second of a TLS session). Filled
// by socket-reader.ts; whoever passes bytes on says with `release` that they are gone.

const slabBytes = 64 * 1_024
/** What waits to be used again; more than that is left to the garbage collector. */
const maxWaiting = 128
/** Buffers that sockets read into; a socket that stands still after bulk does not give its own back. */
const maxAttached = 256
/** From this length on a slice of a slab is kept, below it is copied: it would hold up 64 KiB. */
export const keptBytes = 2 * 1_024

/** One buffer of the pool. It returns there once it is not read into any more and every slice that was kept is released. */
export class Slab {
  readonly buffer: Buffer = Buffer.allocUnsafeSlow(slabBytes)
  #users = 1

  retain(): void {
    this.#users += 1
  }

  /** Throws where it is released more often than it was kept: the bytes of one connection would end up in another. */
  release(): void {
    if (this.#users <= 0) throw new Error('a read buffer was released twice')
    this.#users -= 1
    if (this.#users > 0) return
    if (poison !== undefined) this.buffer.fill(poison)
    if (waiting.length < maxWaiting) waiting.push(this)
  }

  /** Out of the pool, into the hands of one user. */
  take(): this {
    this.#users = 1
    return this
  }
}

const waiting: Slab[] = []
let attached = 0
let poison: number | undefined
const owners = new WeakMap<ArrayBufferLike, Slab>()

/** Undefined where enough are attached to sockets; whoever detaches one says so. */
export function attachSlab(): Slab | undefined {
  if (attached >= maxAttached) return undefined
  attached += 1
  return unattached()
}

function unattached(): Slab {
  const used = waiting.pop()
  if (used !== undefined) return used.take()
  const slab = new Slab()
  owners.set(slab.buffer.buffer, slab)
  return slab
}

export function detachSlab(slab: Slab): void {
  attached -= 1
  slab.release()
}

/**
 * The bytes of `chunk` are not needed any more: they are in the kernel, or encrypted. At most once per chunk that a reader
 * handed out, and never while anything may still read it. Whoever cannot tell just does not call it.
 */
export function release(chunk: Buffer): void {
  if (chunk.length >= keptBytes) owners.get(chunk.buffer)?.release()
}

/**
 * A buffer of its own life with the bytes of `slice`, which is a part of a chunk that a reader handed out: to be released besides that
 * chunk. What is short is copied, if it would hold up a buffer of the pool.
 */
export function keepSlice(slice: Buffer): Buffer {
  const slab = owners.get(slice.buffer)
  if (slab === undefined) return slice
  if (slice.length < keptBytes) {
    const copy = Buffer.allocUnsafe(slice.length)
    copy.set(slice)
    return copy
  }
  slab.retain()
  return slice
}

/** One more will `release` the chunk: its bytes stay until all of them have. */
export function retain(chunk: Buffer): void {
  if (chunk.length >= keptBytes) owners.get(chunk.buffer)?.retain()
}

/**
 * A copy in a buffer of the pool, to be released, of bytes that cannot stay where they are. Undefined for what would leave most of such a
 * buffer empty.
 */
export function copyToSlab(bytes: Buffer): Buffer | undefined {
  if (bytes.length < slabBytes / 2 || bytes.length > slabBytes) return undefined
  const slab = unattached()
  slab.buffer.set(bytes)
  return slab.buffer.subarray(0, bytes.length)
}

/** For tests: overwrites buffers as soon as they are released, so that whoever still reads one is found out. */
export function poisonReleased(byte: number | undefined): void {
  poison = byte
}

/** For tests. */
export function waitingSlabs(): number {
  return waiting.length
}
