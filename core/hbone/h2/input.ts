// Where the bytes of a session come from: a socket, a stream of another session, or any other Duplex. Called by engine.ts.
import type { Duplex } from 'node:stream'
import { keepSlice, release } from '../../net/read-buffers.ts'
import { partOf, readSocket } from '../../net/socket-reader.ts'
import { TunnelHttp2Stream } from './stream.ts'

export interface Input {
  /** A buffer that outlives the call, with the bytes of `chunk` from `start` to `end`; to be released. */
  keepPart(chunk: Buffer, start: number, end: number): Buffer
}

/** Hands out `first`, which was read of it before and is nobody else's, and then what `source` reads. A chunk is valid during the call only; `input.keepPart` makes a part of it last. */
export function readInput(
  source: Duplex,
  first: Buffer | undefined,
  take: (chunk: Buffer, input: Input) => void,
): void {
  if (first !== undefined && first.length > 0) take(first, owned)
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
const owned: Input = { keepPart: (chunk, start, end) => keepSlice(partOf(chunk, start, end)) }
