// One HTTP/2 session over a socket or inside a tunnel stream, either role (RFC 9113): the frames that come in, the streams, the end.
// What its streams carry is up to the two kinds made of it: session.ts (tunnels) and message-session.ts (requests and answers). Parsing is
// frame-reader.ts, sending sender.ts.
import type { Duplex } from 'node:stream'
import { MeshError } from '../../base/errors.ts'
import type { SessionLimits } from '../limits.ts'
import type { EngineHooks, EngineKind } from './engine-kind.ts'
import { Floods } from './floods.ts'
import { type FrameHandler, FrameReader } from './frame-reader.ts'
import { HeaderBlocks } from './header-blocks.ts'
import { HpackEncoder } from './hpack-encoder.ts'
import { type Input, readInput } from './input.ts'
import { flushMs, Linger, lingerMs } from './linger.ts'
import { Pings } from './pings.ts'
import { PrefaceReader } from './preface.ts'
import {
  defaultWindow,
  errorCode,
  errorName,
  flowError,
  maxStreamId,
  preface,
  protocolError,
  SessionError,
} from './protocol.ts'
import { Sender } from './sender.ts'
import type { SessionStream } from './session-stream.ts'
import { SessionWindow } from './session-window.ts'
import { applySettings, initialPeerSettings, ourSettings, type PeerSettings } from './settings.ts'
import { Streams } from './streams.ts'
import { initialSessionWindow } from './window-growth.ts'

type State = 'open' | 'closing' | 'closed'

export class Engine<S extends SessionStream> {
  readonly #socket: Duplex
  readonly #limits: SessionLimits
  readonly #hooks: EngineHooks
  readonly #isServer: boolean
  readonly #reader: FrameReader
  readonly #blocks: HeaderBlocks<S>
  readonly #connectProtocol: boolean
  readonly #sender: Sender
  readonly #window: SessionWindow
  readonly #streams: Streams<S>
  readonly #floods: Floods
  readonly #pings: Pings
  #peer: PeerSettings = initialPeerSettings
  #settled = false
  readonly #preface: PrefaceReader
  #state: State = 'open'
  #peerGoesAway = false
  #broken = false
  #current: S | undefined
  #frameBytes = 0
  #input: Input | undefined
  #error: MeshError | undefined
  readonly #linger: Linger

  protected readonly encoder: HpackEncoder

  /** Takes a secured socket over, or a stream of another session, and sends SETTINGS. */
  constructor(
    socket: Duplex,
    role: 'client' | 'server',
    limits: SessionLimits,
    hooks: EngineHooks,
    kind: EngineKind<S>,
  ) {
    this.#socket = socket
    this.#linger = new Linger(socket)
    this.#limits = limits
    this.#hooks = hooks
    this.#isServer = role === 'server'
    this.#preface = new PrefaceReader(this.#isServer)
    this.#reader = new FrameReader(this.#frames, {
      maxFrameBytes: limits.maxFrameBytes,
      maxBlockBytes:
        kind.maxBlockBytes ?? (this.#isServer ? limits.serverHeaderListBytes : limits.clientHeaderListBytes),
    })
    this.#connectProtocol = kind.connectProtocol ?? false
    this.encoder = new HpackEncoder(kind.unindexed, kind.secret)
    this.#floods = new Floods(limits)
    this.#window = new SessionWindow(limits, {
      ping: (onAnswer) => this.ping(onAnswer),
      grant: (bytes) => this.#grant(bytes),
    })
    this.#sender = new Sender(socket, {
      onBacklog: () => this.#fail(new SessionError(errorCode.enhanceYourCalm, 'the peer does not read what we answer')),
      onSent: (bytes) => this.#floods.sent(bytes),
    })
    this.#pings = new Pings(this.#sender)
    const streamHooks = {
      windowBytes: () => this.#window.streamBytes,
      onHeld: (bytes: number) => this.#window.holds(bytes),
      onReleased: () => this.#endIfEmpty(),
      trailers: (stream: S, fields: readonly string[]) =>
        this.#sender.writer.headers(stream.id, this.encoder.encodeFlat(fields), true, this.#peer.maxFrameBytes),
    }
    this.#streams = new Streams(limits, this.#sender, this.#floods, streamHooks, kind.makeStream)
    this.#blocks = new HeaderBlocks({
      isServer: this.#isServer,
      limits,
      streams: this.#streams,
      floods: this.#floods,
      accepts: () => this.#state === 'open',
      sendWindow: () => this.#peer.initialWindow,
      rules: kind.rules,
    })
    this.#greet()
    // Not at once: the owner does not know this session yet.
    process.nextTick(() => this.#read(kind.first))
    socket.once('end', () => this.#over(undefined))
    socket.once('close', () => {
      this.#linger.stop()
      this.#over(undefined)
    })
    socket.on('error', (error) => this.#over(new MeshError('TUNNEL_UNAVAILABLE', error.message, { cause: error })))
  }

  get peerSettings(): PeerSettings {
    return this.#peer
  }

  /** The last stream is over: nothing follows but what is on its way, and the end comes by itself. */
  get finishing(): boolean {
    return this.#linger.begun
  }

  /** Streams that are not over. */
  get streams(): number {
    return this.#streams.size
  }

  #greet(): void {
    const { writer } = this.#sender
    const limits = this.#limits
    if (!this.#isServer) writer.raw(preface)
    writer.settings(ourSettings(this.#isServer, limits, this.#connectProtocol))
    const more = initialSessionWindow(limits) - defaultWindow
    if (more > 0) writer.windowUpdate(0, more)
    this.#sender.wake()
  }

  // ---- what the owner asks for --------------------------------------------------------------------------------------

  /** Opens a stream (client); its headers must follow. Undefined where the session takes no more. */
  protected openStream(): S | undefined {
    if (this.#state !== 'open' || this.#peerGoesAway) return undefined
    return this.#streams.openNext(this.#peer.initialWindow)
  }

  protected sendHeaders(stream: S, block: Buffer, endStream: boolean): void {
    this.#sender.writer.headers(stream.id, block, endStream, this.#peer.maxFrameBytes)
    this.#sender.wake()
  }

  /** It is over: nothing can be sent any more. */
  get over(): boolean {
    return this.#state === 'closed'
  }

  /** So many writes were made: what was sent in between may have reached the peer. */
  get writes(): number {
    return this.#sender.writes
  }

  /** Those that are not over, in no particular order. */
  openStreams(): readonly S[] {
    return this.#streams.all()
  }

  /** Resets a stream whose peer broke the protocol in what it says; counts as a flood if it does so often. */
  break(stream: S, message: string): void {
    try {
      this.#streams.break(stream, errorCode.protocolError, message)
    } catch (error: unknown) {
      this.#fail(error)
    }
  }

  /** We ended it because of what the peer sent. */
  get broken(): boolean {
    return this.#broken
  }

  /** Calls back when the peer answered; never where too many are under way. */
  ping(onAnswer: () => void): void {
    if (this.#state !== 'closed') this.#pings.send(onAnswer, this.#streams.size === 0)
  }

  /** "No new streams please", while none that is on its way is refused (RFC 9113 6.8). `close` must follow. */
  announceEnd(): void {
    if (this.#state !== 'open') return
    this.#sender.writer.goaway(maxStreamId, errorCode.noError, '')
    this.#sender.wake()
  }

  /** No new streams; ends when the last one did. */
  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#sender.writer.goaway(this.#isServer ? this.#streams.last : 0, errorCode.noError, '')
    this.#sender.wake()
    this.#endIfEmpty()
  }

  /** Ends at once, streams included. */
  destroy(): void {
    this.#over(undefined)
    this.#linger.stop()
    this.#socket.destroy()
  }

  #grant(bytes: number): void {
    if (this.#state === 'closed') return
    this.#sender.writer.windowUpdate(0, bytes)
    this.#sender.wake()
  }

  // ---- frames that come in ------------------------------------------------------------------------------------------

  #read(first: Buffer | undefined): void {
    if (this.#socket.destroyed) this.#over(undefined)
    else readInput(this.#socket, first, this.#consume)
  }

  readonly #consume = (chunk: Buffer, input: Input): void => {
    if (this.#state === 'closed' || this.#linger.begun) return
    this.#input = input
    try {
      const frames = this.#preface.done ? chunk : this.#preface.take(chunk)
      if (frames.length > 0) this.#reader.push(frames)
    } catch (error: unknown) {
      this.#fail(error)
    }
  }

  readonly #frames: FrameHandler = {
    dataBegins: (streamId, bytes) => this.#dataBegins(streamId, bytes),
    data: (chunk, start, end) => {
      const input = this.#input
      if (this.#current !== undefined && input !== undefined) this.#current.receive(input.keepPart(chunk, start, end))
    },
    dataEnds: (endStream, padding) => this.#dataEnds(endStream, padding),
    headers: (streamId, endStream, block, start, end) => {
      this.#needSettings()
      this.#blocks.receive(streamId, endStream, block, start, end)
    },
    resetStream: (streamId, code) => this.#resetStream(streamId, code),
    settings: (ack, payload, start, end) => this.#settings(ack, payload, start, end),
    ping: (ack, payload, start) => this.#ping(ack, payload, start),
    goaway: (lastStreamId, code) => this.#goaway(lastStreamId, code),
    windowUpdate: (streamId, increment) => this.#windowUpdate(streamId, increment),
    ignored: () => {
      this.#needSettings()
      this.#floods.control()
    },
  }

  #dataBegins(streamId: number, bytes: number): void {
    this.#needSettings()
    this.#frameBytes = bytes
    if (!this.#window.receive(bytes)) throw flowError('more DATA than the window of the session')
    const stream = this.#streams.get(streamId)
    this.#current = stream
    if (stream === undefined) this.#streams.checkClosed(streamId, bytes)
    else if (stream.remoteEnded) this.#breakCurrent(stream, errorCode.streamClosed, 'DATA after its end')
    else if (!stream.opened) this.#breakCurrent(stream, errorCode.protocolError, 'DATA before the answer')
    else if (!stream.admits(bytes)) this.#breakCurrent(stream, errorCode.flowControlError, 'more DATA than its window')
  }

  #breakCurrent(stream: S, code: number, message: string): void {
    this.#current = undefined
    this.#streams.break(stream, code, message)
  }

  #dataEnds(endStream: boolean, padding: number): void {
    const stream = this.#current
    this.#current = undefined
    this.#window.consume(this.#frameBytes)
    if (this.#frameBytes > padding) this.#floods.received()
    else if (!endStream) this.#floods.control()
    if (stream === undefined) return
    if (padding > 0) stream.consumed(padding)
    if (endStream && !stream.ended) stream.remoteEnd()
  }

  #resetStream(streamId: number, code: number): void {
    this.#needSettings()
    const stream = this.#streams.get(streamId)
    if (stream === undefined) {
      this.#streams.checkNotIdle(streamId)
      this.#streams.forget(streamId)
      this.#floods.control()
      return
    }
    this.#streams.release(stream)
    stream.remoteReset(code)
    if (this.#isServer) this.#floods.reset()
  }

  #settings(ack: boolean, payload: Buffer, start: number, end: number): void {
    if (ack) {
      this.#needSettings()
      this.#floods.control()
      return
    }
    this.#floods.settings()
    const before = this.#peer
    const peer = applySettings(before, payload, start, end, !this.#isServer)
    this.#peer = peer
    this.#settled = true
    this.encoder.limitTable(peer.headerTableBytes)
    this.#sender.maxFrameBytes = peer.maxFrameBytes
    this.#streams.moveWindows(peer.initialWindow - before.initialWindow)
    this.#sender.writer.settingsAck()
    this.#sender.wake()
    this.#hooks.onSettings()
  }

  #needSettings(): void {
    if (!this.#settled) throw protocolError('the first frame is not SETTINGS')
  }

  #ping(ack: boolean, payload: Buffer, start: number): void {
    this.#needSettings()
    this.#floods.control()
    if (!ack) {
      this.#sender.writer.ping(true, payload, start)
      this.#sender.wake()
      return
    }
    this.#pings.answered(payload, start)
  }

  #goaway(lastStreamId: number, code: number): void {
    this.#needSettings()
    this.#floods.control()
    this.#peerGoesAway = true
    // Streams that the server did not see can be tried again elsewhere; a client has none of the server.
    if (!this.#isServer) this.#streams.refusedAbove(lastStreamId)
    if (code !== errorCode.noError) {
      this.#error ??= new MeshError('TUNNEL_H2', `the peer ended the session with ${errorName(code)}`)
    }
    this.#hooks.onGoaway()
  }

  #windowUpdate(streamId: number, increment: number): void {
    this.#needSettings()
    this.#floods.windowUpdate()
    if (streamId === 0) {
      if (increment === 0) throw protocolError('WINDOW_UPDATE of 0')
      if (!this.#sender.enlargeWindow(increment)) throw flowError('the window of the session is beyond the limit')
      return
    }
    this.#streams.windowUpdate(streamId, increment)
  }

  // ---- the end ------------------------------------------------------------------------------------------------------

  /** The peer broke the session: GOAWAY says why. */
  #fail(error: unknown): void {
    if (this.#state === 'closed') return
    this.#broken = true
    const code = error instanceof SessionError ? error.code : errorCode.internalError
    const text = error instanceof Error ? error.message : String(error)
    this.#sender.writer.goaway(this.#isServer ? this.#streams.last : 0, code, text)
    this.#endSocket(lingerMs)
    this.#over(new MeshError('TUNNEL_H2', `${text} (${errorName(code)})`, { cause: error }))
  }

  #endIfEmpty(): void {
    if (this.#streams.size === 0 && this.#state === 'closing' && !this.#linger.begun) this.#endSocket(flushMs)
  }

  #endSocket(waitMs: number): void {
    this.#sender.finish()
    this.#linger.begin(waitMs)
  }

  #over(error: MeshError | undefined): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#error ??= error
    this.#reader.stop()
    this.#sender.stop()
    this.#window.stop()
    this.#pings.clear()
    // A peer that hangs up but does not read would keep the socket for ever.
    if (!this.#linger.begun) this.#linger.wait(lingerMs)
    const cause = new MeshError('TUNNEL_UNAVAILABLE', 'the session ended', { cause: this.#error })
    this.#streams.end(cause)
    this.#hooks.onClosed(this.#error)
  }
}
