// Who is at the other end of a feed connection, by its client certificate.
import type { TLSSocket } from 'node:tls'
import { MeshError } from '../../core/base/errors.ts'
import { hostIdentity } from '../../core/identity/spiffe.ts'
import { isHostName } from '../grants.ts'

export interface HostPeer {
  readonly host: string
  readonly serial: string
  readonly notAfter: number
}

/**
 * The host that a verified client certificate names: its chain leads to our root (checked by TLS) and its only URI is a host
 * identity of this trust domain. Throws IDENTITY_INVALID. Whether the host still exists is for Hosts to say.
 */
export function hostPeer(socket: TLSSocket, trustDomain: string): HostPeer {
  if (!socket.authorized) {
    const reason = socket.authorizationError?.toString() ?? 'no certificate'
    throw new MeshError('IDENTITY_INVALID', `the client certificate is not valid: ${reason}`)
  }
  const certificate = socket.getPeerCertificate()
  const names = (certificate.subjectaltname ?? '').split(', ')
  const prefix = `URI:${hostIdentity(trustDomain, '')}`
  const host = names.length === 1 && names[0]!.startsWith(prefix) ? names[0]!.slice(prefix.length) : ''
  if (!isHostName(host)) {
    const expected = hostIdentity(trustDomain, '<host>')
    throw new MeshError(
      'IDENTITY_INVALID',
      `the client presented ${names.join(', ') || 'no name'}, expected ${expected}`,
    )
  }
  return { host, serial: certificate.serialNumber, notAfter: Date.parse(certificate.valid_to) }
}
