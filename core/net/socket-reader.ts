// Reads a TCP or TLS socket into buffers of read-buffers.ts. Node offers the same as `onread`, but not for sockets that a server
// accepted nor for TLS over another socket; the switch is there all the same. Where it is not, 'data' serves. Called by the byte
// pump and by the sessions of tunnels.
import type { Socket } from 'node:net'
import { attachSlab, detachSlab, keptBytes, type Slab } from './read-buffers.ts'

/** From so much in one read a socket is taken to carry bulk: it gets a buffer of its own, of which parts may be kept. */
const bulkBytes = 8 * 1_024
/** The rest of a buffer is worth a read if a TLS record fits. */
const worthReading = 16 * 1_024

/** Shared by all sockets: nothing in it outlives a call. */
const scratch = Buffer.allocUnsafeSlow(64 * 1_024)

/**
 * Hands out what `socket` reads, what it has buffered first. A chunk is valid during the call only, but slices of it that
 * `keep` returned are valid until they are released (read-buffers.ts). 'end', 'error', 'close', `pause` and `resume` are as
 * ever, 'data' and 'readable' are not emitted any more.
 */
export function readSocket(socket: Socket, onRead: (chunk: Buffer, input: SocketInput) => void): void {
  const input = new SocketInput(onRead)
  for (let chunk: unknown = socket.read(); chunk !== null; chunk = socket.read()) onRead(chunk as Buffer, input)
  if (!switchToUserBuffer(socket, input)) socket.on('data', (chunk: Buffer) => onRead(chunk, input))
  socket.once('close', input.close)
  socket.resume()
}

export class SocketInput {
  readonly #onRead: (chunk: Buffer, input: SocketInput) => void
  #slab: Slab | undefined
  /** Of the slab, what is in use. */
  #used = 0
  #kept = false
  #reading: 'scratch' | 'slab' | 'own' = 'own'

  constructor(onRead: (chunk: Buffer, input: SocketInput) => void) {
    this.#onRead = onRead
  }

  /** The socket is closed. */
  readonly close = (): void => {
    if (this.#slab !== undefined) detachSlab(this.#slab)
    this.#slab = undefined
  }

  /** A buffer that outlives the call, with the bytes of `slice`, which is a part of what was read. */
  keep(slice: Buffer): Buffer {
    const { length } = slice
    if (this.#reading === 'own') return slice
    if (this.#reading === 'slab' && length >= keptBytes) {
      this.#kept = true
      this.#slab?.retain()
      return slice
    }
    const copy = Buffer.allocUnsafe(length)
    copy.set(slice)
    return copy
  }

  /** Where the next read goes. */
  readonly next = (): Buffer => (this.#slab === undefined ? scratch : this.#slab.buffer.subarray(this.#used))

  readonly read = (bytes: number, buffer: Buffer): boolean => {
    this.#reading = this.#slab === undefined ? 'scratch' : 'slab'
    this.#kept = false
    this.#onRead(buffer.subarray(0, bytes), this)
    if (this.#kept) this.#used += bytes
    this.#reading = 'own'
    const slab = this.#slab
    if (slab !== undefined && (bytes < bulkBytes || slab.buffer.length - this.#used < worthReading)) {
      this.#slab = undefined
      detachSlab(slab)
    }
    if (bytes >= bulkBytes && this.#slab === undefined) {
      this.#slab = attachSlab()
      this.#used = 0
    }
    return true
  }
}

/** What `onread` sets on a socket that Node makes itself. */
const switches = { buffer: 'kBuffer', callback: 'kBufferCb', generator: 'kBufferGen' } as const

function switchToUserBuffer(socket: Socket, input: SocketInput): boolean {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return false
  const use: unknown = Reflect.get(handle, 'useUserBuffer')
  const symbols = new Map(Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]))
  const buffer = symbols.get(switches.buffer)
  const callback = symbols.get(switches.callback)
  const generator = symbols.get(switches.generator)
  if (typeof use !== 'function' || buffer === undefined || callback === undefined || generator === undefined)
    return false
  Reflect.set(socket, buffer, scratch)
  Reflect.set(socket, callback, input.read)
  Reflect.set(socket, generator, input.next)
  use.call(handle, scratch)
  return true
}
