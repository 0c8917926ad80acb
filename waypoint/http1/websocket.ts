// The proof of a server that it understood an upgrade to WebSocket. Needed by whoever stands between HTTP/1.1, where it is, and HTTP/2,
// where it is not (RFC 8441 5).
import { createHash } from 'node:crypto'

/** `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 4.2.2). */
export function webSocketAccept(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}
