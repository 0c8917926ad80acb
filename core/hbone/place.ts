// What the pool has for one key: its sessions that take streams, and who waits for one. Owned by pool.ts.
import type { CancelSignal } from '../base/cancel.ts'
import type { MeshError } from '../base/errors.ts'
import type { ClientSession } from './client.ts'
import { timer } from './limits.ts'
import type { TunnelKey } from './types.ts'

export interface Waiter {
  take(session: ClientSession): void
  fail(error: MeshError): void
}

export class Place {
  readonly key: TunnelKey
  /** Sessions that take streams. */
  readonly open = new Set<ClientSession>()
  /** In the order of their coming; as many as the owner has connections that wait to be made. */
  readonly waiting = new Set<Waiter>()
  connecting = false
  /** Grows with `retire`: a connect that began before is not used. */
  generation = 0

  constructor(key: TunnelKey) {
    this.key = key
  }

  get empty(): boolean {
    return this.open.size === 0 && !this.connecting && this.waiting.size === 0
  }

  /** The first session with room, so that load gathers on few and the others become idle. Outdated ones leave on the way. */
  reserve(serial: string): ClientSession | undefined {
    for (const session of this.open) {
      if (session.outdated(serial)) session.retire()
      else if (session.reserve(serial)) return session
    }
    return undefined
  }

  /** Gives the room of a session to those who wait; whether anybody got some. */
  hand(session: ClientSession, serial: string): boolean {
    let served = false
    for (const waiter of this.waiting) {
      if (!session.reserve(serial)) break
      waiter.take(session)
      served = true
    }
    return served
  }

  fail(error: MeshError): void {
    for (const waiter of this.waiting) waiter.fail(error)
  }

  /**
   * Waits for a session on which a place is taken. Rejects with `aborted()` when `signal` aborts, and with `impatient()` after
   * `patienceMs`.
   */
  wait(
    signal: CancelSignal,
    aborted: () => MeshError,
    patienceMs: number | undefined,
    impatient: () => MeshError,
  ): Promise<ClientSession> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(patience)
        signal.removeEventListener('abort', abort)
        this.waiting.delete(waiter)
      }
      const waiter: Waiter = {
        take: (session) => {
          leave()
          resolve(session)
        },
        fail: (error) => {
          leave()
          reject(error)
        },
      }
      const abort = () => waiter.fail(aborted())
      const patience = patienceMs === undefined ? undefined : timer(patienceMs, () => waiter.fail(impatient()))
      signal.addEventListener('abort', abort, { once: true })
      this.waiting.add(waiter)
    })
  }
}

export function placeId(key: TunnelKey): string {
  const { sourceUid, sourceAddress, sourceIdentity, destination, destinationUid, expectedIdentities } = key
  // None of these has such a character in it; only the last is a list.
  const to = `${destination.address}\0${destination.port}\0${destinationUid}`
  return `${sourceUid}\0${sourceAddress}\0${sourceIdentity}\0${to}\0${expectedIdentities.join('\0')}`
}
