// Takes off what is meant for this connection only (RFC 9110 7.6.1). Called by the proxy right after a head was read, before the
// mesh adds anything of its own: so no client can nominate away what the mesh says.
import { FieldList, Headers } from '../http/message.ts'

/** Always go. `te` goes unless it says `trailers`, which gRPC needs. */
const always = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/**
 * Stay although `Connection` nominates them: what routing, identity and traces hang on. A client may leave them out; it may not have us
 * take off what a proxy before us has put there, nor make the far side see another request than our policies saw.
 */
const kept = new Set(
  `authorization baggage content-encoding content-length content-range content-type cookie expect forwarded grpc-timeout
  host origin proxy-authorization range set-cookie te traceparent tracestate x-b3-flags x-b3-parentspanid x-b3-sampled
  x-b3-spanid x-b3-traceid b3 x-forwarded-client-cert x-forwarded-for x-forwarded-host x-forwarded-port
  x-forwarded-proto x-real-ip x-request-id`.split(/\s+/),
)

/**
 * Removes hop-by-hop fields in place. `protect` says of a nominated name (in lower case) whether it stays nevertheless: names
 * that this mesh's own policies look at.
 */
export function removeHopByHop(headers: Headers, protect?: (name: string) => boolean): void {
  const { list } = headers
  if (list !== undefined) {
    headers.share(strippedOnce(list, protect))
    return
  }
  if (!hasAny(headers.flat)) return
  const nominated = headers.all('connection')
  headers.deleteAll(always)
  for (const list of nominated) {
    for (const item of list.split(',')) {
      const name = item.trim().toLowerCase()
      if (name !== '' && !kept.has(name) && protect?.(name) !== true) headers.delete(name)
    }
  }
  const te = headers.all('te')
  if (te.length === 0) return
  if (te.some((value) => /(?:^|,)[\t ]*trailers[\t ]*(?:,|$)/i.test(value))) headers.set('te', 'trailers')
  else headers.delete('te')
}

function strippedOnce(list: FieldList, protect: ((name: string) => boolean) | undefined): FieldList {
  if (list.stripped?.protect === protect && list.stripped !== undefined) return list.stripped.list
  const headers = Headers.scanned(list.flat.slice())
  removeHopByHop(headers, protect)
  const stripped = new FieldList(headers.flat)
  list.stripped = { protect, list: stripped }
  return stripped
}

/** Most messages have none of them: one look, nothing allocated. */
function hasAny(flat: readonly string[]): boolean {
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at]!
    if (name === 'te' || always.has(name)) return true
  }
  return false
}
