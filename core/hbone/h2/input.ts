// Where the bytes of a session come from: a socket, a stream of another session, or any other Duplex. Called by engine.ts.
import type { Duplex } from 'node:stream'
import { keptBytes, release, retain } from '../../net/read-buffers.ts'
import { readSocket } from '../../net/socket-reader.ts'
import { TunnelHttp2Stream } from './stream.ts'

export interface Input {
  /** A buffer that outlives the call, with the bytes of `slice`, which is a part of what was read; to be released. */
  keep(slice: Buffer): Buffer
}

/** Hands out what `source` reads. A chunk is valid during the call only; `input.keep` makes it, or a slice of it, last. */
export function readInput(source: Duplex, take: (chunk: Buffer, input: Input) => void): void {
  if (!(source instanceof TunnelHttp2Stream)) {
    readSocket(source, take)
    return
  }
  source.readDirect({
    data: (chunk) => {
      take(chunk, owned)
      release(chunk)
    },
  })
}

/** Of chunks that are handed over: each slice that is kept is one more user of the same memory. */
const owned: Input = {
  keep: (slice) => {
    if (slice.length >= keptBytes) {
      retain(slice)
      return slice
    }
    // Too short to be counted, and a slab must not wait for it.
    const copy = Buffer.allocUnsafe(slice.length)
    copy.set(slice)
    return copy
  },
}
