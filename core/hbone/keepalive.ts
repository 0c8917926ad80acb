// Liveness of a session: a PING after each quiet interval, and its end when neither the answer nor any other byte comes.
// Called by both ends of a tunnel.
import type { Http2Session } from './h2/session.ts'
import { type TunnelLimits, timer } from './limits.ts'

/**
 * An answer can be stuck behind data in a slow link, so whoever sends data is alive; but a peer that answers no PING for so
 * many timeouts reads nothing from us.
 */
const maxSilences = 15

/**
 * Pings until `stop`, which is what it returns, also while the session drains; `onDead` is called once when `pingTimeoutMs` pass
 * in silence. `socket` is the TCP socket under the session.
 */
export function keepAlive(
  session: Pick<Http2Session, 'ping' | 'finishing'>,
  socket: { readonly bytesRead: number },
  limits: Pick<TunnelLimits, 'pingIntervalMs' | 'pingTimeoutMs'>,
  onDead: () => void,
): () => void {
  let waiting: NodeJS.Timeout | undefined
  let stopped = false
  const next = () => {
    clearTimeout(waiting)
    if (!stopped) waiting = timer(limits.pingIntervalMs, ping)
  }
  const silent = (bytesBefore: number, count: number) => {
    if (stopped || session.finishing) return
    if (socket.bytesRead === bytesBefore || count >= maxSilences) {
      stopped = true
      onDead()
    } else expect(count + 1)
  }
  const expect = (count: number) => {
    const bytesBefore = socket.bytesRead
    waiting = timer(limits.pingTimeoutMs, () => silent(bytesBefore, count))
  }
  const ping = () => {
    if (stopped || session.finishing) return
    expect(1)
    session.ping(next)
  }
  next()
  return () => {
    stopped = true
    clearTimeout(waiting)
  }
}
