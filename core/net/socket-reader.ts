// Reads a TCP or TLS socket into buffers of read-buffers.ts. Node offers the same as `onread`, but not for sockets that a server
// accepted nor for TLS over another socket; the switch is there all the same. Where it is not, 'data' serves. Called by the byte
// pump and by the sessions of tunnels.
import type { Duplex } from 'node:stream'
import { attachSlab, copyToSlab, detachSlab, keptBytes, type Slab } from './read-buffers.ts'

/** From so much in one read a socket is taken to carry bulk: it gets a buffer of its own, of which parts may be kept. */
const bulkBytes = 8 * 1_024
/** The rest of a buffer is worth a read if a TLS record fits. */
const worthReading = 16 * 1_024

/** libuv reads a socket up to 32 times before it looks at another one: 2 MiB, milliseconds of work. The rest can wait a turn. */
const turnBytes = 256 * 1_024

/** What a socket may bring before somebody takes it; one read more can come on top. */
const aheadBytes = 64 * 1_024

/** Shared by all sockets: nothing in it outlives a call. */
const scratch = Buffer.allocUnsafeSlow(64 * 1_024)

export interface SocketReader {
  /** `chunk` is valid during the call only; `input.keep` makes it, or a slice of it, last. */
  read(chunk: Buffer, input: SocketInput): void
  /** The same of the first `length` bytes of `buffer`, without a view of them; false where `read` shall follow. */
  readPart?(buffer: Buffer, length: number): boolean
}

/**
 * Hands out what `socket` reads, what it has buffered first; any other stream will do, too, but then Node's own buffers serve. A chunk is valid during the call only, but slices of it that
 * `keep` returned are valid until they are released (read-buffers.ts). 'end', 'error', 'close', `pause` and `resume` are as
 * ever, 'data' and 'readable' are not emitted any more.
 */
export function readSocket(socket: Duplex, reader: SocketReader | SocketReader['read']): void {
  const taker = typeof reader === 'function' ? { read: reader } : reader
  const { [inputOf]: ahead } = socket as Partial<Read>
  const input = ahead ?? new SocketInput(socket, taker)
  if (ahead !== undefined) ahead.handTo(taker)
  else {
    for (let chunk: unknown = socket.read(); chunk !== null; chunk = socket.read()) input.pass(chunk as Buffer)
    if (!switchToUserBuffer(socket, input)) socket.on('data', (chunk: Buffer) => input.pass(chunk))
  }
  if (!socket.readableEnded) socket.resume()
}

/**
 * For a socket that was accepted in this turn: what it reads before `readSocket` is called waits here, without the 64 KiB that Node
 * takes for each read. Where Node has no such switch, Node's own buffer serves.
 */
export function readAhead(socket: Duplex): void {
  const ahead = new Ahead(socket)
  const input = new SocketInput(socket, ahead)
  switchToUserBuffer(socket, input)
}

/** The chunk itself where that is all of it. */
export function partOf(chunk: Buffer, start: number, end: number): Buffer {
  return start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end)
}

class Ahead implements SocketReader {
  readonly chunks: Buffer[] = []
  readonly #socket: Duplex
  #bytes = 0

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  read(chunk: Buffer): void {
    const copy = Buffer.allocUnsafe(chunk.length)
    copy.set(chunk)
    this.chunks.push(copy)
    this.#bytes += copy.length
    if (this.#bytes >= aheadBytes) this.#socket.pause()
  }
}

/** Where a socket has its input, for the functions that all sockets share. */
const inputOf = Symbol('input')

interface Read {
  [inputOf]: SocketInput
}

/** Node calls it as a method of the socket. */
function onUserRead(this: Read, bytes: number, buffer: Buffer): boolean {
  return this[inputOf].take(bytes, buffer)
}

/** Node asks for the next buffer of a socket right after that socket has read, and nobody says which it is. */
let lastRead: SocketInput | undefined

function nextBuffer(): Buffer {
  return lastRead?.next() ?? scratch
}

export class SocketInput {
  readonly #socket: Duplex
  #reader: SocketReader
  #slab: Slab | undefined
  /** Of the slab, what is in use. */
  #used = 0
  #kept = false
  #watched = false
  /** Bulk that was read in this turn of the event loop. */
  #turnBytes = 0
  #resting = false
  #reading: 'scratch' | 'slab' | 'own' = 'own'

  constructor(socket: Duplex, reader: SocketReader) {
    this.#socket = socket
    this.#reader = reader
  }

  /** What was read ahead goes to `reader`, and so does all that follows. */
  handTo(reader: SocketReader): void {
    const ahead = this.#reader
    this.#reader = reader
    if (ahead instanceof Ahead) for (const chunk of ahead.chunks) reader.read(chunk, this)
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
    const pooled = copyToSlab(slice)
    if (pooled !== undefined) return pooled
    const copy = Buffer.allocUnsafe(length)
    copy.set(slice)
    return copy
  }

  /** As `keep`, of a part of what was read: without a view for what is copied anyway. */
  keepPart(chunk: Buffer, start: number, end: number): Buffer {
    const length = end - start
    if (this.#reading === 'own' || length >= keptBytes) return this.keep(partOf(chunk, start, end))
    const copy = Buffer.allocUnsafe(length)
    chunk.copy(copy, 0, start, end)
    return copy
  }

  /** Hands out a buffer of its own. */
  pass(chunk: Buffer): void {
    this.#reader.read(chunk, this)
  }

  /** Where the next read goes. */
  next(): Buffer {
    return this.#slab === undefined ? scratch : this.#slab.buffer.subarray(this.#used)
  }

  /** `bytes` were read into `buffer`. */
  take(bytes: number, buffer: Buffer): boolean {
    this.#reading = this.#slab === undefined ? 'scratch' : 'slab'
    this.#kept = false
    const reader = this.#reader
    if (reader.readPart?.(buffer, bytes) !== true) reader.read(buffer.subarray(0, bytes), this)
    if (this.#kept) this.#used += bytes
    this.#reading = 'own'
    const slab = this.#slab
    if (slab !== undefined && (bytes < bulkBytes || slab.buffer.length - this.#used < worthReading)) this.#detach(slab)
    if (bytes >= bulkBytes && this.#slab === undefined) this.#attach()
    lastRead = this
    return bytes < bulkBytes || this.#mayGoOn(bytes)
  }

  /** False where others should have their turn; `nextTurn` follows. */
  #mayGoOn(bytes: number): boolean {
    if (this.#turnBytes === 0) atEndOfTurn(this)
    this.#turnBytes += bytes
    this.#resting = this.#turnBytes >= turnBytes
    return !this.#resting
  }

  nextTurn(): void {
    this.#turnBytes = 0
    if (!this.#resting) return
    this.#resting = false
    if (!this.#socket.destroyed && !this.#socket.isPaused()) this.#socket.resume()
  }

  #attach(): void {
    if (this.#socket.destroyed) return
    this.#slab = attachSlab()
    this.#used = 0
    if (this.#watched || this.#slab === undefined) return
    this.#watched = true
    this.#socket.once('close', () => {
      if (this.#slab !== undefined) this.#detach(this.#slab)
    })
  }

  #detach(slab: Slab): void {
    this.#slab = undefined
    detachSlab(slab)
  }
}

let read: SocketInput[] = []

function atEndOfTurn(input: SocketInput): void {
  if (read.push(input) === 1) setImmediate(turnEnds)
}

function turnEnds(): void {
  const inputs = read
  read = []
  for (const input of inputs) input.nextTurn()
}

/** What `onread` sets on a socket that Node makes itself. */
const switches = { buffer: 'kBuffer', callback: 'kBufferCb', generator: 'kBufferGen' } as const

function switchToUserBuffer(socket: Duplex, input: SocketInput): boolean {
  const inside = socket as unknown as Inside
  const handle = inside._handle
  if (typeof handle !== 'object' || handle === null || typeof handle.useUserBuffer !== 'function') return false
  if (found === undefined || inside[found.buffer] === undefined) found = findSwitches(socket)
  if (found === undefined) return false
  // By assignment: Reflect.set takes the slow way through V8, for each connection.
  inside[found.buffer] = scratch
  inside[inputOf] = input
  inside[found.callback] = onUserRead
  inside[found.generator] = nextBuffer
  handle.useUserBuffer(scratch)
  return true
}

/** What a socket of Node is made of, as far as it is used here. */
interface Inside {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Buffer) => void } | null
  [key: symbol]: unknown
}

type Switches = Readonly<Record<keyof typeof switches, symbol>>

/** The same for every socket of a process. */
let found: Switches | undefined

function findSwitches(socket: Duplex): Switches | undefined {
  const symbols = new Map(Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]))
  const buffer = symbols.get(switches.buffer)
  const callback = symbols.get(switches.callback)
  const generator = symbols.get(switches.generator)
  if (buffer === undefined || callback === undefined || generator === undefined) return undefined
  return { buffer, callback, generator }
}
