// The engine of Culvert 0.1 on node:http2, kept as the baseline of bench/engine.ts. Liveness of a session: a PING after each quiet interval, and its end when neither the answer nor any other byte comes.
// Called by both ends of a tunnel.
import type { Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { type TunnelLimits, timer } from '../../core/hbone/limits.ts'

/** Pings until the session closes; `onDead` is called once when `pingTimeoutMs` pass in silence. */
export function keepAlive(
  session: Http2Session,
  socket: Socket,
  limits: Pick<TunnelLimits, 'pingIntervalMs' | 'pingTimeoutMs'>,
  onDead: () => void,
): void {
  let waiting: NodeJS.Timeout | undefined
  const next = () => {
    clearTimeout(waiting)
    if (!session.destroyed) waiting = timer(limits.pingIntervalMs, ping)
  }
  const silent = (bytesBefore: number) => {
    if (session.destroyed) return
    // An answer can be stuck behind data in a slow link; whoever sends data is alive.
    if (socket.bytesRead === bytesBefore) onDead()
    else waiting = timer(limits.pingTimeoutMs, () => silent(socket.bytesRead))
  }
  const ping = () => {
    if (session.destroyed) return
    const bytesBefore = socket.bytesRead
    waiting = timer(limits.pingTimeoutMs, () => silent(bytesBefore))
    session.ping((error) => {
      if (error === null) next()
    })
  }
  session.once('close', () => clearTimeout(waiting))
  next()
}
