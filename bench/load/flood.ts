// The bytes of bulk streams: writes as fast as the kernel takes them, and reads without keeping anything. Used by the generator and
// by the application at the other end.
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'

const block = Buffer.alloc(256 * 1024, 7)
/** Writes in a row that the kernel took at once, before others get their turn. */
const writesPerTurn = 4

/** Writes until the socket is gone; counts what has left for the kernel. */
export async function flood(socket: Socket, onBytes: (bytes: number) => void = () => {}): Promise<void> {
  for (let writes = 1; !socket.destroyed; writes += 1) {
    const written = await new Promise<boolean>((resolve) => socket.write(block, (error) => resolve(error == null)))
    if (!written) return
    onBytes(block.length)
    if (writes % writesPerTurn === 0) await nextTurn()
  }
}

/** A socket's destination for what it reads, for all sockets of the process: nothing looks at the bytes. */
export const sink = Buffer.allocUnsafeSlow(1024 * 1024)
