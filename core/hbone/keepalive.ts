// Liveness of a session: a PING after each quiet interval, and its end when neither the answer nor any other byte comes.
// Called by both ends of a tunnel.
import type { Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { type TunnelLimits, timer } from './limits.ts'

/** For the last bytes of a session that ended in good order to leave over a slow link. */
const flushMs = 120_000

/**
 * Pings until the session closes; `onDead` is called once when `pingTimeoutMs` pass in silence. It is called too where Node
 * has destroyed the session and then waits for ever for a write to end, with neither 'close' nor 'error', as happens after a
 * peer's GOAWAY with an error: nobody else would ever end that connection. `socket` is the TCP socket under the session.
 */
export function keepAlive(
  session: Pick<Http2Session, 'closed' | 'destroyed' | 'ping' | 'once'>,
  socket: Pick<Socket, 'bytesRead' | 'setKeepAlive'>,
  limits: Pick<TunnelLimits, 'pingIntervalMs' | 'pingTimeoutMs'>,
  onDead: () => void,
): void {
  let waiting: NodeJS.Timeout | undefined
  const next = () => {
    clearTimeout(waiting)
    waiting = timer(limits.pingIntervalMs, ping)
  }
  const expectBytes = () => {
    const bytesBefore = socket.bytesRead
    waiting = timer(limits.pingTimeoutMs, () => {
      if (session.destroyed) return ended()
      // An answer can be stuck behind data in a slow link; whoever sends data is alive.
      if (socket.bytesRead === bytesBefore) onDead()
      else expectBytes()
    })
  }
  const ping = () => {
    if (session.destroyed) return ended()
    if (session.closed) return leaveToTcp()
    expectBytes()
    session.ping((error) => {
      if (error === null) next()
      else if (!session.destroyed && session.closed) leaveToTcp()
    })
  }
  // node:http2 sends no PING after `close`, although streams may live on for days. The kernel asks instead.
  const leaveToTcp = () => {
    clearTimeout(waiting)
    socket.setKeepAlive(true, limits.pingIntervalMs)
    awaitEnd(session.destroyed)
  }
  const ended = () => (session.closed ? awaitEnd(true) : onDead())
  const awaitEnd = (flushing: boolean): void => {
    waiting = timer(flushMs, () => (flushing ? onDead() : awaitEnd(session.destroyed)))
  }
  session.once('close', () => clearTimeout(waiting))
  next()
}
