// The one byte copy of the mesh: both directions between any two of socket and tunnel stream, half-close carried, memory
// bounded, resets passed on. Called once per connection by daemon and waypoint, after both ends are established.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { asMeshError, MeshError } from '../base/errors.ts'
import { keptBytes, release } from '../net/read-buffers.ts'
import { readSocket, type SocketInput, type SocketReader } from '../net/socket-reader.ts'
import { resetSocket } from '../net/sys.ts'
import { TunnelHttp2Stream } from './h2/stream.ts'

/** Bytes copied; read it while the copy runs. */
export interface PumpCounters {
  aToB: number
  bToA: number
}

export interface PumpResult {
  readonly aToB: number
  readonly bToA: number
  /** Why the copy ended early; undefined after both sides ended in order. */
  readonly error?: MeshError
}

export interface PumpOptions {
  /** Aborting closes both ends at once, without waiting for what is buffered. */
  readonly signal?: AbortSignal
  /** Counted live; one of its own if none is given. */
  readonly counters?: PumpCounters
}

/** A direction stops reading when so much waits at the writer; one read more can come on top. */
const maxBufferedBytes = 512 * 1024
/** Less than this is a message that somebody waits for, more is likely to be followed by more in the same turn. */
const messageBytes = 4 * 1024

/** Who counts what a copy moves and hears of its end. One object for both, because idle connections are many. */
export interface PumpWatcher extends PumpCounters {
  /** Once; `error` says why the copy ended early, and is undefined after both sides ended in order. */
  pumped(error: MeshError | undefined): void
}

/**
 * Copies until both directions ended, one end failed, or `signal` aborted. Never rejects. `a` and `b` are closed or destroyed
 * afterwards; where it ended early the other end sees a reset, never an orderly end.
 */
export function pump(a: Duplex, b: Duplex, options: PumpOptions = {}): Promise<PumpResult> {
  const { signal, counters = { aToB: 0, bToA: 0 } } = options
  return new Promise((resolve) => {
    const abort = (): void => {
      const reason: unknown = signal?.reason
      copy.settle(
        reason instanceof MeshError ? reason : new MeshError('ABORTED', 'the connection was closed by the mesh'),
      )
    }
    const pumped = (error: MeshError | undefined): void => {
      signal?.removeEventListener('abort', abort)
      resolve({ aToB: counters.aToB, bToA: counters.bToA, ...(error === undefined ? {} : { error }) })
    }
    const copy = new Pump(a, b, counters, { pumped })
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted === true) abort()
    copy.start()
  })
}

/** As `pump`, for those who need no promise, which would hold their whole way here in memory for as long as the copy lasts. */
export function startPump(a: Duplex, b: Duplex, watcher: PumpWatcher): void {
  new Pump(a, b, watcher, watcher).start()
}

class Pump {
  readonly #a: Duplex
  readonly #b: Duplex
  readonly #counters: PumpCounters
  readonly #watcher: Pick<PumpWatcher, 'pumped'>
  readonly #forward: Direction
  readonly #backward: Direction
  #settled = false

  constructor(a: Duplex, b: Duplex, counters: PumpCounters, watcher: Pick<PumpWatcher, 'pumped'>) {
    this.#a = a
    this.#b = b
    this.#counters = counters
    this.#watcher = watcher
    this.#forward = new Direction(a, b, this)
    this.#backward = new Direction(b, a, this)
  }

  start(): void {
    if (!this.#settled) this.#forward.start()
    if (!this.#settled) this.#backward.start()
  }

  count(direction: Direction, bytes: number): void {
    if (direction === this.#forward) this.#counters.aToB += bytes
    else this.#counters.bToA += bytes
  }

  directionDone(): void {
    if (this.#forward.done && this.#backward.done) this.settle(undefined)
  }

  settle(error: MeshError | undefined): void {
    if (this.#settled) return
    this.#settled = true
    this.#forward.stop()
    this.#backward.stop()
    if (error !== undefined) {
      reset(this.#a)
      reset(this.#b)
    }
    this.#watcher.pumped(error)
  }
}

/**
 * The listeners of a copy stay, since both streams are over with it, and are the same few functions for all streams and find their direction by these: six closures for each
 * direction of each connection would take more memory than all else that the copy needs.
 */
const sourceOf = Symbol('the direction that reads this stream')
const targetOf = Symbol('the direction that writes to this stream')

interface Copied {
  [sourceOf]?: Direction | undefined
  [targetOf]?: Direction | undefined
}

function onError(this: Copied, error: Error): void {
  // After the copy nobody is left to tell.
  this[sourceOf]?.failed(error)
}

function onClose(this: Copied): void {
  this[sourceOf]?.closed()
}

function onEnd(this: Copied): void {
  this[sourceOf]?.end()
}

function onData(this: Copied, chunk: Buffer): void {
  this[sourceOf]?.data(chunk)
}

function onFinish(this: Copied): void {
  this[targetOf]?.finished()
}

function onDrain(this: Copied): void {
  this[targetOf]?.drained()
}

/** One way of a copy. `done` once the source ended and the destination has written all of it and its end. */
class Direction implements SocketReader {
  readonly #source: Duplex & Copied
  readonly #target: Duplex & Copied
  readonly #pump: Pump
  #corked = false
  #paused = false
  #stopped = false
  #ended = false
  done = false

  constructor(source: Duplex, target: Duplex, pump: Pump) {
    this.#source = source
    this.#target = target
    this.#pump = pump
    source.on('error', onError)
  }

  start(): void {
    const source = this.#source
    const target = this.#target
    source[sourceOf] = this
    target[targetOf] = this
    // Each stream is the source of one direction, so that each is watched exactly once.
    source.on('close', onClose)
    target.on('finish', onFinish)
    if (target instanceof TunnelHttp2Stream) target.onDrained = () => this.drained()
    source.on('end', onEnd)
    if (source.errored !== null) this.failed(source.errored)
    else if (source.destroyed) this.closed()
    else if (source instanceof Socket) {
      // It may have ended with bytes that were read ahead.
      readSocket(source, this)
      if (source.readableEnded) this.end()
    } else if (source.readableEnded) this.end()
    else if (source instanceof TunnelHttp2Stream) source.readDirect(this)
    else source.on('data', onData).resume()
  }

  stop(): void {
    this.#stopped = true
    const source = this.#source
    const target = this.#target
    source[sourceOf] = undefined
    target[targetOf] = undefined
    if (source instanceof TunnelHttp2Stream) source.pauseDirect()
    if (target instanceof TunnelHttp2Stream) target.onDrained = undefined
    this.uncork()
  }

  uncork(): void {
    if (!this.#corked) return
    this.#corked = false
    this.#target.uncork()
  }

  readPart(buffer: Buffer, length: number): boolean {
    const target = this.#target
    if (this.#stopped || !(target instanceof TunnelHttp2Stream) || !target.sendCopy(buffer, length)) return false
    this.#pump.count(this, length)
    return true
  }

  read(chunk: Buffer, input: SocketInput): void {
    this.data(input.keep(chunk))
  }

  data(chunk: Buffer): void {
    if (this.#stopped) {
      release(chunk)
      return
    }
    const target = this.#target
    this.#pump.count(this, chunk.length)
    if (target instanceof TunnelHttp2Stream) {
      // It gathers what leaves in one turn by itself, and for all streams of the session.
      target.send(chunk)
      if (target.queuedBytes >= maxBufferedBytes) this.#pause()
      return
    }
    if (!this.#corked && (chunk.length > messageBytes || target.writableLength > 0)) {
      this.#corked = true
      target.cork()
      corkedThisTurn(this)
    }
    if (chunk.length >= keptBytes && target instanceof Socket) target.write(chunk, () => release(chunk))
    else target.write(chunk)
    if (target.writableLength >= maxBufferedBytes && target.writableNeedDrain) this.#pause()
  }

  #pause(): void {
    this.#paused = true
    const target = this.#target
    if (!(target instanceof TunnelHttp2Stream)) target.once('drain', onDrain)
    if (this.#source instanceof TunnelHttp2Stream) this.#source.pauseDirect()
    else this.#source.pause()
  }

  drained(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#source instanceof TunnelHttp2Stream) this.#source.resumeDirect()
    else this.#source.resume()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.uncork()
    const target = this.#target
    if (target.writableFinished) this.finished()
    else if (target instanceof Socket && target.readableEnded && target.writableLength === 0) {
      // Everything was read and written: closing says the same as an end, in one system call and one callback.
      target.destroy()
      this.finished()
    } else target.end()
  }

  finished(): void {
    if (!this.#ended || this.done) return
    this.done = true
    this.#pump.directionDone()
  }

  failed(error: Error): void {
    this.#pump.settle(asMeshError(error, 'ABORTED'))
  }

  /** A close is in order only after the end was read and everything was written to this stream. */
  closed(): void {
    const source = this.#source
    if (source.readableEnded && (source.writableFinished || source[targetOf]?.done)) return
    this.#pump.settle(new MeshError('ABORTED', 'the connection was reset'))
  }
}

/** All that arrives in one turn of the event loop leaves in one gathered write (16 KiB TLS records, small frames). */
const corked: Direction[] = []

function corkedThisTurn(direction: Direction): void {
  if (corked.push(direction) === 1) setImmediate(uncorkAll)
}

function uncorkAll(): void {
  for (const direction of corked.splice(0)) direction.uncork()
}

/** RST for a socket, RST_STREAM for a tunnel stream. */
function reset(stream: Duplex): void {
  if (stream.destroyed) return
  if (stream instanceof Socket) resetSocket(stream)
  else stream.destroy()
}
