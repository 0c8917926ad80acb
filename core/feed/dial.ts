// Opens the feed's WebSocket towards the control plane over mutual TLS. Used by FeedClient only.
import type { ConnectionOptions, PeerCertificate } from 'node:tls'
import { type ClientOptions, WebSocket } from 'ws'
import { asMeshError, MeshError } from '../base/errors.ts'
import { controlIdentity } from '../identity/spiffe.ts'
import { maxFeedMessageBytes } from './connection.ts'

/** What an agent proves itself with: its host certificate chain, the key of it and the trust bundle, all PEM. */
export interface FeedCredentials {
  readonly key: string
  readonly chain: string
  readonly bundle: string
}

export interface DialOptions {
  readonly control: { readonly host: string; readonly port: number }
  readonly trustDomain: string
  readonly credentials: FeedCredentials
  readonly handshakeMs: number
}

/**
 * Checks that a server certificate, whose chain Node has verified, is the control plane's: its only URI is controlIdentity.
 * Host names and addresses do not matter. Returns the error that Node expects of `checkServerIdentity`.
 */
export function checkControlIdentity(
  trustDomain: string,
  certificate: Pick<PeerCertificate, 'subjectaltname'>,
): MeshError | undefined {
  const expected = controlIdentity(trustDomain)
  const names = (certificate.subjectaltname ?? '').split(', ').filter((name) => name.startsWith('URI:'))
  if (names.length === 1 && names[0] === `URI:${expected}`) return undefined
  const presented = names.length === 0 ? 'no SPIFFE identity' : names.join(', ')
  return new MeshError('IDENTITY_INVALID', `the control plane presented ${presented}, expected URI:${expected}`)
}

/** Resolves once the WebSocket is open. Rejects with FEED_CLOSED, IDENTITY_INVALID or NODE_UNAUTHORIZED (HTTP 401). */
export function dialFeed(options: DialOptions, signal: AbortSignal): Promise<WebSocket> {
  const { control, credentials, trustDomain } = options
  const host = control.host.includes(':') ? `[${control.host}]` : control.host
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`wss://${host}:${control.port}/v1/feed`, {
      ...tlsOptions(trustDomain, credentials),
      handshakeTimeout: options.handshakeMs,
      perMessageDeflate: false,
      followRedirects: false,
      maxPayload: maxFeedMessageBytes,
    })
    const stop = (): void => socket.terminate()
    const done = (finish: () => void): void => {
      signal.removeEventListener('abort', stop)
      finish()
    }
    let answer: MeshError | undefined
    signal.addEventListener('abort', stop, { once: true })
    socket.on('unexpected-response', (request, response) => {
      const code = response.statusCode === 401 ? 'NODE_UNAUTHORIZED' : 'FEED_CLOSED'
      answer = new MeshError(code, `the control plane answered ${response.statusCode} to the feed request`)
      request.destroy()
      socket.terminate()
    })
    socket.on('error', (error) => done(() => reject(answer ?? dialError(error, signal))))
    socket.on('close', () => done(() => reject(answer ?? dialError(new Error('closed while connecting'), signal))))
    socket.on('open', () => done(() => resolve(socket)))
    if (signal.aborted) stop()
  })
}

function tlsOptions(trustDomain: string, credentials: FeedCredentials): ClientOptions {
  const options: ConnectionOptions = {
    key: credentials.key,
    cert: credentials.chain,
    ca: credentials.bundle,
    minVersion: 'TLSv1.3',
    servername: '',
    checkServerIdentity: (_, certificate) => checkControlIdentity(trustDomain, certificate),
  }
  // `ws` hands all of them on to tls.connect; its own types know only some, and one of those differently.
  return options as Omit<ConnectionOptions, 'checkServerIdentity'> as ClientOptions
}

function dialError(error: Error, signal: AbortSignal): MeshError {
  if (signal.aborted) return new MeshError('ABORTED', 'connecting to the control plane was cancelled')
  return asMeshError(error, 'FEED_CLOSED')
}
