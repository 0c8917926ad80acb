// One HTTP/2 session over a TLS socket, either role, for CONNECT streams (RFC 9113): the frames that come in, the streams, the
// end. Made by client.ts and server-session.ts; parsing is frame-reader.ts, sending sender.ts.
import type { TLSSocket } from 'node:tls'
import { MeshError } from '../../base/errors.ts'
import { readSocket, type SocketInput } from '../../net/socket-reader.ts'
import { type TunnelLimits, timer } from '../limits.ts'
import { Floods } from './floods.ts'
import { type FrameHandler, FrameReader } from './frame-reader.ts'
import { HeaderBlocks } from './header-blocks.ts'
import { HpackEncoder } from './hpack-encoder.ts'
import type { HeaderField } from './hpack-table.ts'
import { defaultWindow, errorCode, errorName, maxStreamId, preface, SessionError } from './protocol.ts'
import { Sender } from './sender.ts'
import { SessionWindow } from './session-window.ts'
import { applySettings, initialPeerSettings, ourSettings, type PeerSettings } from './settings.ts'
import type { TunnelHttp2Stream } from './stream.ts'
import { Streams } from './streams.ts'
import { initialSessionWindow } from './window-growth.ts'

export interface SessionHooks {
  /** The peer's SETTINGS came, for the first time or again. */
  readonly onSettings: () => void
  /** A header list that opens a stream (server) or answers one (client). */
  readonly onHeaders: (stream: TunnelHttp2Stream, fields: readonly HeaderField[], tooLarge: boolean) => void
  readonly onGoaway: () => void
  /** The session is over, once; with an error where the peer broke it or it broke. */
  readonly onClosed: (error: MeshError | undefined) => void
}

/** How long a broken session waits for the peer to read the GOAWAY, and an orderly one for its end of the socket. */
const lingerMs = 1_000
/** For the last bytes of a session that ended in good order to leave over a slow link. */
const flushMs = 120_000
const maxPings = 8
const unindexed = ['forwarded', 'traceparent']

type State = 'open' | 'closing' | 'closed'

export class Http2Session {
  readonly #socket: TLSSocket
  readonly #limits: TunnelLimits
  readonly #hooks: SessionHooks
  readonly #isServer: boolean
  readonly #reader: FrameReader
  readonly #blocks: HeaderBlocks
  readonly #encoder = new HpackEncoder(unindexed)
  readonly #sender: Sender
  readonly #window: SessionWindow
  readonly #streams: Streams
  readonly #floods: Floods
  readonly #pings = new Map<number, () => void>()
  #peer: PeerSettings = initialPeerSettings
  #settled = false
  /** Of the preface, still to come (server). */
  #prefaceLeft: number
  #state: State = 'open'
  #peerGoesAway = false
  #pingCount = 0
  #current: TunnelHttp2Stream | undefined
  #frameBytes = 0
  #input: SocketInput | undefined
  #error: MeshError | undefined
  #linger: NodeJS.Timeout | undefined

  /** Takes a secured socket over and sends SETTINGS. */
  constructor(socket: TLSSocket, role: 'client' | 'server', limits: TunnelLimits, hooks: SessionHooks) {
    this.#socket = socket
    this.#limits = limits
    this.#hooks = hooks
    this.#isServer = role === 'server'
    this.#prefaceLeft = this.#isServer ? preface.length : 0
    this.#reader = new FrameReader(this.#frames, {
      maxFrameBytes: limits.maxFrameBytes,
      maxBlockBytes: this.#isServer ? limits.serverHeaderListBytes : limits.clientHeaderListBytes,
    })
    this.#floods = new Floods(limits)
    this.#window = new SessionWindow(limits, {
      ping: (onAnswer) => this.ping(onAnswer),
      grant: (bytes) => this.#grant(bytes),
    })
    this.#sender = new Sender(socket, {
      onBacklog: () => this.#fail(new SessionError(errorCode.enhanceYourCalm, 'the peer does not read what we answer')),
      onSent: (bytes) => this.#floods.sent(bytes),
    })
    this.#streams = new Streams(limits, this.#sender, this.#floods, {
      windowBytes: () => this.#window.streamBytes,
      onHeld: (bytes) => this.#window.holds(bytes),
      onReleased: () => this.#endIfEmpty(),
    })
    this.#blocks = new HeaderBlocks({
      isServer: this.#isServer,
      limits,
      streams: this.#streams,
      floods: this.#floods,
      accepts: () => this.#state === 'open',
      sendWindow: () => this.#peer.initialWindow,
      onHeaders: hooks.onHeaders,
    })
    this.#greet()
    // Not at once: the owner does not know this session yet.
    process.nextTick(() => this.#read())
    socket.once('end', () => this.#over(undefined))
    socket.once('close', () => {
      clearTimeout(this.#linger)
      this.#over(undefined)
    })
    socket.on('error', (error) => this.#over(new MeshError('TUNNEL_UNAVAILABLE', error.message, { cause: error })))
  }

  get peerSettings(): PeerSettings {
    return this.#peer
  }

  /** The last stream is over: nothing follows but what is on its way, and the end comes by itself. */
  get finishing(): boolean {
    return this.#linger !== undefined
  }

  /** Streams that are not over. */
  get streams(): number {
    return this.#streams.size
  }

  #greet(): void {
    const { writer } = this.#sender
    const limits = this.#limits
    if (!this.#isServer) writer.raw(preface)
    writer.settings(ourSettings(this.#isServer, limits))
    const more = initialSessionWindow(limits) - defaultWindow
    if (more > 0) writer.windowUpdate(0, more)
    this.#sender.wake()
  }

  // ---- what the owner asks for --------------------------------------------------------------------------------------

  /** Opens a stream (client). Undefined where the session takes no more. */
  request(fields: readonly HeaderField[]): TunnelHttp2Stream | undefined {
    if (this.#state !== 'open' || this.#peerGoesAway) return undefined
    const stream = this.#streams.openNext(this.#peer.initialWindow)
    if (stream !== undefined) this.#sendHeaders(stream, fields)
    return stream
  }

  /** Answers a stream (server); the stream is ended like any other. */
  respond(stream: TunnelHttp2Stream, fields: readonly HeaderField[]): void {
    if (stream.ended || stream.destroyed || this.#state === 'closed') return
    this.#sendHeaders(stream, fields)
  }

  #sendHeaders(stream: TunnelHttp2Stream, fields: readonly HeaderField[]): void {
    this.#sender.writer.headers(stream.id, this.#encoder.encode(fields), false, this.#peer.maxFrameBytes)
    this.#sender.wake()
  }

  /** Calls back when the peer answered; never where too many are under way. */
  ping(onAnswer: () => void): void {
    if (this.#state === 'closed' || this.#pings.size >= maxPings) return
    this.#pingCount += 1
    const payload = Buffer.alloc(8)
    payload.writeUInt32BE(this.#pingCount, 4)
    this.#pings.set(this.#pingCount, onAnswer)
    if (this.#streams.size === 0) this.#sender.writer.rest()
    this.#sender.writer.ping(false, payload, 0)
    this.#sender.wake()
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
    clearTimeout(this.#linger)
    this.#socket.destroy()
  }

  #grant(bytes: number): void {
    if (this.#state === 'closed') return
    this.#sender.writer.windowUpdate(0, bytes)
    this.#sender.wake()
  }

  // ---- frames that come in ------------------------------------------------------------------------------------------

  #read(): void {
    if (this.#socket.destroyed) this.#over(undefined)
    else readSocket(this.#socket, this.#consume)
  }

  readonly #consume = (chunk: Buffer, input: SocketInput): void => {
    if (this.#state === 'closed' || this.#linger !== undefined) return
    this.#input = input
    try {
      const frames = this.#prefaceLeft > 0 ? this.#readPreface(chunk) : chunk
      if (frames.length > 0) this.#reader.push(frames)
    } catch (error: unknown) {
      this.#fail(error)
    }
  }

  #readPreface(chunk: Buffer): Buffer {
    const at = preface.length - this.#prefaceLeft
    const bytes = Math.min(this.#prefaceLeft, chunk.length)
    if (chunk.compare(preface, at, at + bytes, 0, bytes) !== 0) throw protocolError('this is not HTTP/2')
    this.#prefaceLeft -= bytes
    return chunk.subarray(bytes)
  }

  readonly #frames: FrameHandler = {
    dataBegins: (streamId, bytes) => this.#dataBegins(streamId, bytes),
    data: (chunk) => {
      if (this.#current !== undefined && this.#input !== undefined) this.#current.receive(this.#input.keep(chunk))
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

  #breakCurrent(stream: TunnelHttp2Stream, code: number, message: string): void {
    this.#current = undefined
    this.#streams.break(stream, code, message)
  }

  #dataEnds(endStream: boolean, padding: number): void {
    const stream = this.#current
    this.#current = undefined
    this.#window.consume(this.#frameBytes)
    if (!endStream && this.#frameBytes - padding === 0) this.#floods.control()
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
    this.#encoder.limitTable(peer.headerTableBytes)
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
    const count = payload.readUInt32BE(start + 4)
    const answered = this.#pings.get(count)
    this.#pings.delete(count)
    answered?.()
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
    const code = error instanceof SessionError ? error.code : errorCode.internalError
    const text = error instanceof Error ? error.message : String(error)
    this.#sender.writer.goaway(this.#isServer ? this.#streams.last : 0, code, text)
    this.#endSocket(lingerMs)
    this.#over(new MeshError('TUNNEL_H2', `${text} (${errorName(code)})`, { cause: error }))
  }

  #endIfEmpty(): void {
    if (this.#streams.size === 0 && this.#state === 'closing' && this.#linger === undefined) this.#endSocket(flushMs)
  }

  #endSocket(waitMs: number): void {
    this.#sender.finish()
    this.#waitForEnd(waitMs)
    this.#socket.once('finish', () => this.#waitForEnd(lingerMs))
  }

  /** Reads on meanwhile: the kernel would answer unread bytes with a reset that overtakes what we sent. */
  #waitForEnd(ms: number): void {
    if (this.#socket.destroyed) return
    clearTimeout(this.#linger)
    this.#linger = timer(ms, () => this.#socket.destroy())
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
    if (this.#linger === undefined) this.#waitForEnd(lingerMs)
    const cause = new MeshError('TUNNEL_UNAVAILABLE', 'the tunnel session ended', { cause: this.#error })
    this.#streams.end(cause)
    this.#hooks.onClosed(this.#error)
  }
}

function protocolError(message: string): SessionError {
  return new SessionError(errorCode.protocolError, message)
}

function flowError(message: string): SessionError {
  return new SessionError(errorCode.flowControlError, message)
}
