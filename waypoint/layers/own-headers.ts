// What a proxy of a mesh says of a request: its id, and who called. Everything else about the caller is in the tunnel.
import type { RequestContext } from './request-context.ts'

/** Says whose certificate the client had: whoever reads it believes it, and nobody between here and there has looked at one. */
const clientCertificate = 'x-forwarded-client-cert'

/**
 * Keeps the caller's `x-request-id`. The caller's address goes behind what proxies before said: an application sees the last hop that
 * nobody could make up at the end of the list.
 */
export function addOwnHeaders({ exchange, origin, deps }: RequestContext): void {
  const { head } = exchange
  const { headers } = head
  const { address } = origin.address
  const before = headers.get('x-forwarded-for')
  if (before === undefined) headers.add('x-forwarded-for', address)
  else headers.set('x-forwarded-for', `${headers.all('x-forwarded-for').join(', ')}, ${address}`)
  if (headers.has(clientCertificate)) headers.delete(clientCertificate)
  if (!headers.has('x-forwarded-proto')) headers.add('x-forwarded-proto', head.scheme)
  if (!headers.has('x-request-id')) headers.add('x-request-id', deps.requestId())
}
