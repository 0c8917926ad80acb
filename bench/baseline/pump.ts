// The engine of Culvert 0.1 on node:http2, kept as the baseline of bench/engine.ts. The one byte copy of the mesh: both directions between any two of socket and tunnel stream, half-close carried, memory
// bounded, resets passed on. Called once per connection by daemon and waypoint, after both ends are established.

import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { asMeshError, MeshError } from '../../core/base/errors.ts'
import type { PumpWatcher } from '../../core/hbone/pump.ts'
import { readSocket } from '../../core/net/socket-reader.ts'
import { resetSocket } from '../../core/net/sys.ts'

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

/**
 * Copies until both directions ended, one end failed, or `signal` aborted. Never rejects. `a` and `b` are closed or destroyed
 * afterwards; where it ended early the other end sees a reset, never an orderly end.
 */
export function pump(a: Duplex, b: Duplex, options: PumpOptions = {}): Promise<PumpResult> {
  return new Promise((resolve) => {
    new Pump(a, b, options, resolve).start()
  })
}

class Pump {
  readonly #a: Duplex
  readonly #b: Duplex
  readonly #counters: PumpCounters
  readonly #signal: AbortSignal | undefined
  readonly #resolve: (result: PumpResult) => void
  readonly #forward: Direction
  readonly #backward: Direction
  #settled = false

  constructor(a: Duplex, b: Duplex, options: PumpOptions, resolve: (result: PumpResult) => void) {
    this.#a = a
    this.#b = b
    const counters = options.counters ?? { aToB: 0, bToA: 0 }
    this.#counters = counters
    this.#signal = options.signal
    this.#resolve = resolve
    const ended = () => this.#ended()
    const failed = (error: MeshError) => this.#settle(error)
    const forwardCount = (bytes: number) => {
      counters.aToB += bytes
    }
    const backwardCount = (bytes: number) => {
      counters.bToA += bytes
    }
    this.#forward = new Direction(a, b, forwardCount, ended, failed)
    this.#backward = new Direction(b, a, backwardCount, ended, failed)
  }

  start(): void {
    this.#a.on('error', ignore)
    this.#b.on('error', ignore)
    this.#signal?.addEventListener('abort', this.#abort, { once: true })
    if (this.#signal?.aborted === true) this.#abort()
    if (!this.#settled) this.#forward.start()
    if (!this.#settled) this.#backward.start()
  }

  readonly #abort = (): void => {
    const reason: unknown = this.#signal?.reason
    this.#settle(
      reason instanceof MeshError ? reason : new MeshError('ABORTED', 'the connection was closed by the mesh'),
    )
  }

  #ended(): void {
    if (this.#forward.done && this.#backward.done) this.#settle(undefined)
  }

  #settle(error: MeshError | undefined): void {
    if (this.#settled) return
    this.#settled = true
    this.#signal?.removeEventListener('abort', this.#abort)
    this.#forward.stop()
    this.#backward.stop()
    if (error !== undefined) {
      reset(this.#a)
      reset(this.#b)
    }
    const { aToB, bToA } = this.#counters
    this.#resolve({ aToB, bToA, ...(error === undefined ? {} : { error }) })
  }
}

/** One way of a copy. `done` once the source ended and the destination has written all of it and its end. */
class Direction {
  readonly #source: Duplex
  readonly #target: Duplex
  readonly #count: (bytes: number) => void
  readonly #onDone: () => void
  readonly #onFailure: (error: MeshError) => void
  #stopped = false
  #corked = false
  #ended = false
  done = false

  constructor(
    source: Duplex,
    target: Duplex,
    count: (bytes: number) => void,
    onDone: () => void,
    onFailure: (error: MeshError) => void,
  ) {
    this.#source = source
    this.#target = target
    this.#count = count
    this.#onDone = onDone
    this.#onFailure = onFailure
  }

  start(): void {
    const source = this.#source
    // Each stream is the source of one direction, so that each is watched exactly once.
    source.on('error', this.#failed)
    source.on('close', this.#closed)
    this.#target.on('drain', this.#drained)
    this.#target.on('finish', this.#finished)
    source.on('end', this.#end)
    if (source.errored !== null) this.#failed(source.errored)
    else if (source.destroyed) this.#closed()
    else if (source.readableEnded) this.#end()
    // The daemon has read what it accepts ahead: there is no 'data' of such a socket any more.
    else if (source instanceof Socket) readSocket(source, (chunk) => this.#read(chunk))
    else source.on('data', this.#data).resume()
  }

  stop(): void {
    const source = this.#source
    source.off('error', this.#failed)
    source.off('close', this.#closed)
    this.#stopped = true
    source.off('data', this.#data)
    source.off('end', this.#end)
    this.#target.off('drain', this.#drained)
    this.#target.off('finish', this.#finished)
    this.uncork()
  }

  uncork(): void {
    if (!this.#corked) return
    this.#corked = false
    this.#target.uncork()
  }

  #read(chunk: Buffer): void {
    if (!this.#stopped) this.#data(Buffer.from(chunk))
  }

  readonly #data = (chunk: Buffer): void => {
    const target = this.#target
    this.#count(chunk.length)
    if (!this.#corked) {
      this.#corked = true
      target.cork()
      corkedThisTurn(this)
    }
    target.write(chunk)
    if (target.writableLength >= maxBufferedBytes && target.writableNeedDrain) this.#source.pause()
  }

  readonly #drained = (): void => {
    if (this.#source.isPaused()) this.#source.resume()
  }

  readonly #end = (): void => {
    if (this.#ended) return
    this.#ended = true
    this.uncork()
    if (this.#target.writableFinished) this.#finished()
    else this.#target.end()
  }

  readonly #finished = (): void => {
    if (!this.#ended || this.done) return
    this.done = true
    this.#onDone()
  }

  readonly #failed = (error: Error): void => {
    this.#onFailure(asMeshError(error, 'ABORTED'))
  }

  /** A close is in order only after the end was read and everything was written to this stream. */
  readonly #closed = (): void => {
    const source = this.#source
    if (source.readableEnded && source.writableFinished) return
    this.#onFailure(new MeshError('ABORTED', 'the connection was reset'))
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

function ignore(): void {
  // A stream that fails after the copy has nobody left to tell.
}

/** As the daemon asks for it now. */
export function startPump(a: Duplex, b: Duplex, watcher: PumpWatcher): void {
  void pump(a, b, { counters: watcher }).then(({ error }) => watcher.pumped(error))
}
