// TLS of the mesh (DESIGN section 4): TLS 1.3, AES-GCM, ALPN h2, client certificates, no resumption; and who the peer is.
// Called by hbone/server.ts and hbone/client.ts. The server side works on a plain `TLSSocket`, for which Node leaves the
// verdict of OpenSSL to the caller: `serverTls` and `verifyClientIdentity` belong together.
import { constants, createHash, type X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import {
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
  TLSSocket,
  type TLSSocketOptions,
} from 'node:tls'
import { MeshError } from '../base/errors.ts'
import { allowsUsage, type IssuedCertificate, parseCertificates, uriNames } from './certificate.ts'
import { formatIdentity, type Identity, parseIdentity } from './spiffe.ts'

/** What every context of the mesh has. Without SSL_OP_NO_TICKET a stolen ticket replaces the client certificate. */
const contextOptions = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256',
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const

const alpn = 'h2'

export interface TlsCredentials {
  readonly context: SecureContext
  /** Milliseconds since the epoch. */
  readonly notAfter: number
  /** Differs whenever certificate or trust bundle differ. */
  readonly serial: string
}

/** A context with a certificate and the roots to verify the peer against. Loading costs about a millisecond: cache it. */
export function createCredentials(certificate: IssuedCertificate): TlsCredentials {
  const context = createSecureContext({
    ...contextOptions,
    key: certificate.keyPem,
    cert: certificate.chainPem,
    ca: certificate.bundlePem,
  })
  return { context, notAfter: certificate.notAfter, serial: serialOf(certificate) }
}

function serialOf(certificate: IssuedCertificate): string {
  const bundle = createHash('sha256').update(certificate.bundlePem).digest('hex').slice(0, 16)
  return `${parseCertificates(certificate.chainPem)[0]?.serialNumber}/${bundle}`
}

/** The current context of each identity, made once per certificate and bundle. */
export class TlsContexts {
  readonly #current = new Map<
    string,
    { readonly certificate: IssuedCertificate; readonly credentials: TlsCredentials }
  >()

  get(certificate: IssuedCertificate): TlsCredentials {
    const cached = this.#current.get(certificate.identity)
    if (
      cached !== undefined &&
      (cached.certificate === certificate ||
        (cached.certificate.chainPem === certificate.chainPem &&
          cached.certificate.bundlePem === certificate.bundlePem))
    ) {
      return cached.credentials
    }
    const credentials = createCredentials(certificate)
    this.#current.set(certificate.identity, { certificate, credentials })
    return credentials
  }

  forget(identity: string): void {
    this.#current.delete(identity)
  }
}

/** Stands where no certificate is: every handshake with it fails. */
let emptyContext: SecureContext | undefined

/**
 * Server side of a handshake on an accepted socket. `select` is asked once for no name (`undefined`) and, if the client sends
 * a name, for that; whatever it answers or throws, an unknown name never gets the certificate of another.
 */
export function serverTls(
  socket: Socket,
  select: (serverName: string | undefined) => SecureContext | undefined,
): TLSSocket {
  // TLS sessions have no half-close; streams inside do.
  socket.allowHalfOpen = false
  emptyContext ??= createSecureContext(contextOptions)
  const options: TLSSocketOptions = {
    isServer: true,
    secureContext: quietly(select, undefined) ?? emptyContext,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [alpn],
    // Node lets an exception here escape in some paths (CVE-2026-21637).
    SNICallback: (serverName, answer) => {
      const context = quietly(select, serverName)
      if (context === undefined)
        answer(new MeshError('TUNNEL_HANDSHAKE', `no certificate for server name "${serverName}"`))
      else answer(null, context)
    },
  }
  const tls = new TLSSocket(socket, options)
  // Without a tls.Server nobody else says that the handshake is over, and HTTP/2 would wait for it.
  tls.once('secure', () => Reflect.set(tls, 'secureConnecting', false))
  // A TLSSocket without a tls.Server only announces errors after the handshake, and lives on.
  tls.on('_tlsError', (error: Error) => {
    if (!tls.destroyed) tls.destroy(error)
  })
  return tls
}

function quietly(
  select: (serverName: string | undefined) => SecureContext | undefined,
  serverName: string | undefined,
): SecureContext | undefined {
  try {
    return select(serverName)
  } catch {
    return undefined
  }
}

/** OpenSSL's verdict about the peer's chain, usage and validity. Its absence counts as refusal. */
function chainError(socket: TLSSocket): string | undefined {
  const handle: unknown = Reflect.get(socket, 'ssl')
  if (typeof handle !== 'object' || handle === null) return 'the connection is gone'
  const verify: unknown = Reflect.get(handle, 'verifyError')
  if (typeof verify !== 'function') return 'this Node does not tell the result of the verification'
  const error: unknown = verify.call(handle)
  if (error === null || error === undefined) return undefined
  return error instanceof Error ? `${error.message} (${Reflect.get(error, 'code')})` : String(error)
}

/**
 * Who the client of a server-side socket is, after its handshake: chain, clientAuth, one URI name, `trustDomain`.
 * Throws IDENTITY_INVALID naming what was presented and what was expected.
 */
export function verifyClientIdentity(socket: TLSSocket, trustDomain: string): Identity {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) throw refused('the client presented no certificate')
  if (socket.isSessionReused()) throw refused('the client resumed a TLS session, which is off in this mesh')
  const error = chainError(socket)
  if (error !== undefined) throw refused(`the certificate of ${presented(certificate)} is not trusted: ${error}`)
  if (!allowsUsage(certificate, 'client'))
    throw refused(`the certificate of ${presented(certificate)} lacks clientAuth`)
  return identityIn(certificate, trustDomain)
}

/**
 * Who a server is: one URI name that `expected` lists, serverAuth, and the trust domain where one is given. The chain is
 * verified by `clientTls` before this is called. Throws IDENTITY_INVALID naming what was presented and what was expected.
 */
export function verifyServerIdentity(
  certificate: X509Certificate,
  expected: readonly string[],
  trustDomain?: string,
): Identity {
  if (!allowsUsage(certificate, 'server'))
    throw refused(`the certificate of ${presented(certificate)} lacks serverAuth`)
  const identity = identityIn(certificate, trustDomain)
  if (!expected.includes(formatIdentity(identity))) {
    const wanted = expected.length === 0 ? 'nobody' : expected.join(' or ')
    throw refused(`the server is ${presented(certificate)}, expected ${wanted}`)
  }
  return identity
}

function identityIn(certificate: X509Certificate, trustDomain: string | undefined): Identity {
  const names = uriNames(certificate)
  if (names.length !== 1)
    throw refused(`the certificate must carry exactly one URI name, presented ${presented(certificate)}`)
  const identity = parseIdentity(names[0]!)
  if (trustDomain !== undefined && identity.trustDomain !== trustDomain) {
    throw refused(`${presented(certificate)} is not of trust domain ${trustDomain}`)
  }
  return identity
}

function presented(certificate: X509Certificate): string {
  return certificate.subjectAltName ?? 'no name'
}

function refused(message: string): MeshError {
  return new MeshError('IDENTITY_INVALID', message)
}

/** Options for `tls.connect` over a connected socket. `serverName` is sent only where given; never a default. */
export function clientTls(socket: Socket, context: SecureContext, serverName: string | undefined): ConnectionOptions {
  socket.allowHalfOpen = false
  return {
    socket,
    secureContext: context,
    rejectUnauthorized: true,
    ALPNProtocols: [alpn],
    // Names are checked by verifyServerIdentity: a SPIFFE peer has no host name.
    checkServerIdentity: () => undefined,
    ...(serverName === undefined ? {} : { servername: serverName }),
  }
}
