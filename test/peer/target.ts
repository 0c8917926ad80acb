// The peer under test and how to reach it: TCP, TLS with this or that identity, HTTP/2 up to its SETTINGS. Handed to every case.
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { preface } from '../../core/hbone/h2/protocol.ts'
import { frame, type } from '../helpers/raw-http2.ts'
import { type Coverage, Wire, type WireOptions } from './wire.ts'

export interface Credentials {
  readonly certificatePem: string
  readonly keyPem: string
}

export interface TargetOptions {
  readonly host: string
  readonly port: number
  /** What the client shows; none where the peer asks for none. */
  readonly credentials?: Credentials
  /** Roots that the peer's certificate must chain to; without, it is not checked. */
  readonly rootsPem?: string
  /** SPIFFE URI that the peer must show. */
  readonly expectIdentity?: string
  readonly serverName?: string
  /** `ip:port` behind the peer that sends back what it gets. */
  readonly echo?: string
  /** `ip:port` behind the peer where nothing listens. */
  readonly refused?: string
  /** `ip:port` behind the peer that a policy denies to us. */
  readonly denied?: string
  /** Makes a certificate of the mesh's authority for another identity. */
  readonly mint?: (identity: string) => Promise<Credentials>
  readonly timeoutMs?: number
}

export interface TlsChanges {
  /** `null`: none. */
  readonly credentials?: Credentials | null
  readonly alpn?: readonly string[]
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3'
  readonly serverName?: string
  /** A TLS session to resume. */
  readonly session?: Buffer
  readonly onSession?: (session: Buffer) => void
}

export class Target {
  readonly options: TargetOptions
  readonly coverage: Coverage = { sent: new Set(), received: new Set() }
  readonly timeoutMs: number
  readonly #sockets = new Set<net.Socket>()

  constructor(options: TargetOptions) {
    this.options = options
    this.timeoutMs = options.timeoutMs ?? 5_000
  }

  get echo(): string {
    if (this.options.echo === undefined) throw new Error('no echo address was given')
    return this.options.echo
  }

  async tcp(): Promise<net.Socket> {
    const socket = net.connect({ host: this.options.host, port: this.options.port })
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    socket.on('error', () => {})
    await once(socket, 'connect', { signal: AbortSignal.timeout(this.timeoutMs) })
    return socket
  }

  /** Rejects where the handshake fails as the client sees it; a refusal of the client's certificate comes later (TLS 1.3). */
  async tls(changes: TlsChanges = {}): Promise<tls.TLSSocket> {
    const { rootsPem, expectIdentity } = this.options
    const credentials = changes.credentials === undefined ? this.options.credentials : changes.credentials
    const serverName = changes.serverName ?? this.options.serverName
    const socket = tls.connect({
      socket: await this.tcp(),
      ALPNProtocols: [...(changes.alpn ?? ['h2'])],
      rejectUnauthorized: rootsPem !== undefined,
      checkServerIdentity: () => undefined,
      ...(changes.maxVersion === undefined ? {} : { minVersion: 'TLSv1.2', maxVersion: changes.maxVersion }),
      ...(rootsPem === undefined ? {} : { ca: rootsPem }),
      ...(credentials == null ? {} : { cert: credentials.certificatePem, key: credentials.keyPem }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(changes.session === undefined ? {} : { session: changes.session }),
    })
    socket.on('error', () => {})
    if (changes.onSession !== undefined) socket.on('session', changes.onSession)
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(this.timeoutMs) })
    const names = socket.getPeerX509Certificate()?.subjectAltName ?? ''
    if (expectIdentity !== undefined && !names.split(', ').includes(`URI:${expectIdentity}`)) {
      throw new Error(`the peer is ${names || 'nobody'}, expected ${expectIdentity}`)
    }
    return socket
  }

  /** A connection in which nothing was said yet. */
  async wire(options: WireOptions = {}, changes: TlsChanges = {}): Promise<Wire> {
    return new Wire(await this.tls(changes), { coverage: this.coverage, timeoutMs: this.timeoutMs, ...options })
  }

  /** A session after the preface and both SETTINGS. `settings` is the payload of ours. */
  async session(settings: Buffer | string = '', options: WireOptions = {}, changes: TlsChanges = {}): Promise<Wire> {
    const wire = await this.wire(options, changes)
    wire.raw(preface)
    wire.send(frame(type.settings, 0, 0, settings))
    await wire.until('SETTINGS of the peer', () => wire.of(type.settings).some(({ flags }) => flags === 0))
    return wire
  }

  /** A session with an open tunnel to the echo on stream 1. */
  async tunnel(settings: Buffer | string = '', options: WireOptions = {}): Promise<Wire> {
    const wire = await this.session(settings, options)
    await openTunnel(wire, 1, this.echo)
    return wire
  }

  /** Cuts whatever cases left open. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

export async function openTunnel(wire: Wire, id: number, authority: string): Promise<void> {
  wire.send(wire.connect(id, authority))
  await accepted(wire, id)
}

/** Waits for the answer 200. */
export async function accepted(wire: Wire, id: number): Promise<void> {
  await wire.until(`an answer on stream ${id}`, () => wire.status(id) !== undefined || wire.reset(id) !== undefined)
  if (wire.status(id) !== 200) {
    throw new Error(`stream ${id} was answered ${wire.status(id) ?? `with reset ${wire.reset(id)}`}, expected 200`)
  }
}
