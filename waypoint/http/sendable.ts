// What no codec may write as the beginning of a request, whatever a rule made of it: HTTP/2 would carry it, and whoever turns it into
// HTTP/1.1 behind us would read another request. Asked by upstream/http2.ts; http1/writer.ts asks as it writes.
import { isAuthority } from '../http1/authority.ts'
import type { RequestHead } from './message.ts'

const method = /^[A-Z-]+$/
/** Visible ASCII without `#`. */
const path = /^(?:\/[\x21\x22\x24-\x7e]*|\*)$/

export function isSendable(head: RequestHead): boolean {
  if (!method.test(head.method) || head.method === 'CONNECT' || !path.test(head.path)) return false
  return (head.path !== '*' || head.method === 'OPTIONS') && isAuthority(head.authority)
}
