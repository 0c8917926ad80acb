// A stream of bytes that cannot be mistaken: every block of 64 KiB carries its number and its writer, so that a lost, doubled,
// exchanged or reflected block changes the hash. Both ends of a transfer make it from writer and length alone.
import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'

export type Writer = 'client' | 'server'

const blockBytes = 64 * 1024

/** The blocks of a stream of `total` bytes. Fresh buffers, since a socket may still hold the former one. */
function* blocks(writer: Writer, total: number): Generator<Buffer> {
  const noise = createHash('sha512').update(writer).digest()
  for (let index = 0; index * blockBytes < total; index++) {
    const bytes = Buffer.alloc(Math.min(blockBytes, total - index * blockBytes), noise)
    if (bytes.length >= 8) bytes.writeDoubleLE(index)
    yield bytes
  }
}

/** The hash of the whole stream. */
export function patternHash(writer: Writer, total: number): string {
  const hash = createHash('sha256')
  for (const bytes of blocks(writer, total)) hash.update(bytes)
  return hash.digest('hex')
}

/** Writes the stream no faster than it is taken, and leaves it open. Rejects where the connection is closed meanwhile. */
export async function writePattern(target: Writable, writer: Writer, total: number): Promise<void> {
  for (const bytes of blocks(writer, total)) {
    if (target.destroyed) throw closed()
    if (target.write(bytes)) continue
    const gone = new AbortController()
    const onClose = (): void => gone.abort(closed())
    target.once('close', onClose)
    try {
      await once(target, 'drain', { signal: gone.signal })
    } finally {
      target.off('close', onClose)
    }
  }
}

function closed(): Error {
  return new Error('the connection was closed while it was written to')
}

/** Counts and hashes what arrives, without keeping it. */
export class Tally {
  readonly #hash: Hash = createHash('sha256')
  bytes = 0

  add(chunk: Buffer): void {
    this.bytes += chunk.length
    this.#hash.update(chunk)
  }

  digest(): string {
    return this.#hash.digest('hex')
  }
}

/** Reads to the other side's end. Rejects where there is none. */
export async function readToEnd(socket: Socket): Promise<Tally> {
  const tally = new Tally()
  socket.on('data', (chunk: Buffer) => tally.add(chunk))
  await once(socket, 'end')
  return tally
}
