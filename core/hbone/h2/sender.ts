// The way out of a session: frames of one turn of the event loop leave in one gathered write, streams take turns, and the
// socket never holds much. Owned by engine.ts.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { keepSlice, release } from '../../net/read-buffers.ts'
import { type Batch, copiedBytes, FrameWriter, written } from './frame-writer.ts'
import { defaultFrameBytes, defaultWindow, maxWindow } from './protocol.ts'
import type { SessionStream } from './session-stream.ts'
import { TunnelHttp2Stream } from './stream.ts'

/**
 * DATA stops when so much is on its way to the kernel: what comes later waits behind this, and behind as much that follows it
 * before the reader's answer. Four times as much gave bulk nothing that was beyond noise.
 */
const maxOnTheWayBytes = 128 * 1_024
/** What one stream may send before others get their turn. */
const quantumBytes = 64 * 1_024
/** A stream with less is served before those with more: a small message does not wait for bulk. */
const smallBytes = 16 * 1_024
/** So many small ones, then one large: none starves. */
const smallPerLarge = 16
/** As long as no more waits for the end of the turn, a short message does not wait in the queue of its stream. */
const copiedPerTurnBytes = 32 * 1_024
/** Control frames for a peer that does not read end the session here. */
const maxBacklogBytes = 2 * 1_024 * 1_024

export class Sender {
  readonly writer = new FrameWriter()
  maxFrameBytes = defaultFrameBytes
  readonly #socket: Duplex
  /** The socket where it is a stream of another session, which gathers and releases by itself. */
  readonly #tunnel: TunnelHttp2Stream | undefined
  /** What a socket has written is in the kernel or encrypted; of any other stream nobody knows. */
  readonly #releases: boolean
  readonly #onBacklog: () => void
  readonly #onSent: (bytes: number) => void
  #window = defaultWindow
  #onTheWay = 0
  /** On their way to the kernel, the oldest first. */
  readonly #batches: Batch[] = []
  #writes = 0
  /** DATA waits for the socket. */
  #full = false
  #scheduled = false
  #stopped = false
  /** Messages of this turn. */
  #messages = 0
  /** The last turn had one message: the next one need not wait for company. */
  #alone = true
  #small: SessionStream[] = []
  #large: SessionStream[] = []

  constructor(socket: Duplex, hooks: { readonly onBacklog: () => void; readonly onSent: (bytes: number) => void }) {
    this.#socket = socket
    this.#releases = socket instanceof Socket
    this.#tunnel = socket instanceof TunnelHttp2Stream ? socket : undefined
    if (this.#tunnel !== undefined) this.#tunnel.onDrained = () => this.#drained()
    this.#onBacklog = hooks.onBacklog
    this.#onSent = hooks.onSent
  }

  /** Its session runs inside a stream of another one. */
  get nested(): boolean {
    return this.#tunnel !== undefined
  }

  /** So many writes were made. */
  get writes(): number {
    return this.#writes
  }

  /** False where the window of the session overflows. */
  enlargeWindow(bytes: number): boolean {
    this.#window += bytes
    if (this.#window > maxWindow) return false
    if (this.#small.length + this.#large.length > 0) this.wake()
    return true
  }

  /** The stream has something to send and is in its turn. */
  ready(stream: SessionStream): void {
    if (stream.listed) return
    stream.listed = true
    if (stream.queuedBytes <= smallBytes) this.#small.push(stream)
    else this.#large.push(stream)
    this.wake()
  }

  /**
   * A short message whose stream has nothing in its queue goes into the frames at once; false where it has to wait. Where messages
   * come one by one it leaves at once, too, and what the end of the turn costs is paid while the peer is at work.
   */
  copy(stream: SessionStream, buffer: Buffer, length: number): boolean {
    const { writer } = this
    if (length > copiedBytes || length > stream.sendWindow || length > this.#window || this.#stopped) return false
    if (this.#full || writer.bytes >= copiedPerTurnBytes) return false
    if (this.#onTheWay + writer.bytes + length > maxOnTheWayBytes) return false
    writer.shortData(stream.id, buffer, length)
    stream.sendWindow -= length
    this.#window -= length
    this.#messages += 1
    if (this.#alone && !this.#scheduled && this.#tunnel === undefined) this.#write()
    this.#onSent(length)
    this.wake()
    return true
  }

  /** Something is in `writer`: it leaves at the end of this turn. */
  wake(): void {
    if (this.#scheduled || this.#stopped) return
    this.#scheduled = true
    atEndOfTurn(this)
  }

  /** Sends what waits in `writer` and then `end` of the socket; nothing after that. */
  finish(): void {
    if (this.#stopped) return
    this.#write()
    this.#stopped = true
    this.#socket.end()
  }

  stop(): void {
    this.#stopped = true
    this.#small = []
    this.#large = []
  }

  flush(): void {
    this.#scheduled = false
    if (this.#stopped) return
    if (this.#tunnel !== undefined) this.#onTheWay = this.#tunnel.queuedBytes
    this.#fill()
    this.#alone = this.#messages <= 1
    this.#messages = 0
    if (this.#stopped) return
    if (this.#onTheWay + this.writer.bytes > maxBacklogBytes) this.#onBacklog()
    else this.#write()
  }

  #fill(): void {
    let small = 0
    // Whoever is woken by a completed write comes once more, at the end of the list; the turn ends with the budget.
    for (;;) {
      const budget = maxOnTheWayBytes - this.#onTheWay - this.writer.bytes
      this.#full = budget <= 0
      const takesLarge = this.#large.length > 0 && (this.#small.length === 0 || small >= smallPerLarge)
      const list = takesLarge ? this.#large : this.#small
      const stream = list[0]
      if (stream === undefined || this.#stopped) return
      if ((this.#full || this.#window <= 0) && stream.queuedBytes > 0) return
      list.shift()
      small = takesLarge ? 0 : small + 1
      this.#send(stream, Math.min(Math.max(0, budget), this.#window, quantumBytes))
    }
  }

  #send(stream: SessionStream, budget: number): void {
    const bytes = stream.sendTo(this.writer, budget, this.maxFrameBytes)
    this.#window -= bytes
    this.#messages += 1
    this.#onSent(bytes)
    stream.listed = false
    if (stream.queuedBytes > 0 && stream.sendWindow > 0) {
      stream.listed = true
      this.#large.push(stream)
    }
    stream.afterSend()
  }

  #write(): void {
    if (this.writer.bytes === 0) return
    this.#writes += 1
    const batch = this.writer.take()
    const { parts } = batch
    if (this.#tunnel !== undefined) {
      passOn(this.#tunnel, parts, batch.spent)
      return
    }
    const socket = this.#socket
    this.#onTheWay += batch.bytes
    this.#batches.push(batch)
    const last = parts.length - 1
    if (last > 0) socket.cork()
    for (let at = 0; at < last; at += 1) socket.write(parts[at]!)
    socket.write(parts[last]!, this.#written)
    if (last > 0) socket.uncork()
  }

  /** The oldest batch is out of our hands. One function for all of them: there is one for each message. */
  readonly #written = (): void => {
    const batch = this.#batches.shift()
    if (batch === undefined) return
    this.#onTheWay -= batch.bytes
    if (this.#releases) {
      written(batch)
      for (const chunk of batch.spent) release(chunk)
    }
    this.#drained()
  }

  #drained(): void {
    if (this.#full && !this.#scheduled) this.flush()
  }
}

/** The tunnel releases each part when it was sent, so each counts on its own. */
function passOn(tunnel: TunnelHttp2Stream, parts: readonly Buffer[], spent: readonly Buffer[]): void {
  for (const part of parts) tunnel.send(keepSlice(part))
  for (const chunk of spent) release(chunk)
}

/** All sessions that have something to send flush together when the events of this turn are handled. */
let waiting: Sender[] = []
/** Those inside tunnels go first, so that what they send leaves with the tunnel in the same turn. */
let nested: Sender[] = []
let scheduled = false

function atEndOfTurn(sender: Sender): void {
  if (sender.nested) nested.push(sender)
  else waiting.push(sender)
  if (scheduled) return
  scheduled = true
  setImmediate(flushAll)
}

function flushAll(): void {
  if (nested.length > 0) flushNested()
  const senders = waiting
  waiting = []
  scheduled = false
  for (const sender of senders) sender.flush()
  if (nested.length === 0 || scheduled) return
  scheduled = true
  setImmediate(flushAll)
}

function flushNested(): void {
  const senders = nested
  nested = []
  for (const sender of senders) sender.flush()
}
