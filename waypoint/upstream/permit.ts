// The right to open a connection where a circuit breaker limits them: taken, waited for, or taken from a connection that idles for somebody
// else. Used by pool.ts.
import type { Grant, Permit } from '../circuit/circuit.ts'
import { Failure } from '../http/failure.ts'
import type { UpstreamConnection } from './connection.ts'
import type { Place, Pooled } from './place.ts'
import type { ConnectionPermits } from './upstream.ts'

/**
 * `siblings` are the connections that have permits of the same circuit breaker. Resolves with a permit, or with a connection of this place that became free. Rejects with Failure `overflow` where too many wait, or
 * with the reason of `signal`.
 */
export function waitForPermit(
  permits: ConnectionPermits,
  place: Place,
  siblings: ReadonlyMap<UpstreamConnection, Pooled>,
  signal: AbortSignal,
): Promise<Pooled | Permit | undefined> {
  return new Promise((resolve, reject) => {
    const granted = (grant: Grant<UpstreamConnection>) => {
      signal.removeEventListener('abort', leave)
      if (grant.kind === 'connect') {
        resolve(grant.permit)
        return
      }
      const free = siblings.get(grant.connection)
      // Another caller's, or another endpoint's: its place is what we need.
      resolve(free === undefined || free.place === place ? free : free.yieldPermit())
    }
    const waiter = { deadlineMs: Number.POSITIVE_INFINITY, granted, expired: () => {} }
    const entry = permits.enter(waiter)
    const leave = () => {
      if (entry.kind === 'waiting') entry.cancel()
      reject(signal.reason)
    }
    if (entry.kind === 'connect' || entry.kind === 'reuse') {
      granted(entry)
      return
    }
    // Who waits behind a connection that nobody uses would wait for nothing.
    const idle = longestIdle(siblings)
    if (idle !== undefined) {
      if (entry.kind === 'waiting') entry.cancel()
      resolve(idle.yieldPermit())
    } else if (entry.kind === 'overflow') {
      reject(new Failure('overflow', `the circuit breaker's limit of ${entry.overflow.limit} is reached`))
    } else {
      signal.addEventListener('abort', leave, { once: true })
      if (signal.aborted) leave()
    }
  })
}

function longestIdle(siblings: ReadonlyMap<UpstreamConnection, Pooled>): Pooled | undefined {
  let oldest: Pooled | undefined
  for (const pooled of siblings.values()) {
    if (!pooled.idle || !pooled.connection.usable) continue
    if (oldest === undefined || pooled.idleUntil < oldest.idleUntil) oldest = pooled
  }
  return oldest
}
