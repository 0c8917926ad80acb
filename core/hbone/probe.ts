// Is the other end of a session still there? Asked when somebody waits for it, where keepalive.ts asks when nobody does: the
// next request must not be the one that finds out by waiting. Called by client.ts.
import type { Http2Session } from './h2/session.ts'
import { type TunnelLimits, timer } from './limits.ts'

export interface ProbeOptions {
  readonly session: Pick<Http2Session, 'ping'>
  /** The TCP socket under the session. */
  readonly socket: { readonly bytesRead: number }
  readonly limits: Pick<TunnelLimits, 'quietMs' | 'probeTimeoutMs'>
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Not a byte came within `probeTimeoutMs`; may be called again. */
  readonly onSilent: () => void
}

export class Probe {
  readonly #options: ProbeOptions
  #bytes: number
  /** When `#bytes` was seen first. */
  #since: number
  #waiting: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: ProbeOptions) {
    this.#options = options
    this.#bytes = options.socket.bytesRead
    this.#since = options.now()
  }

  /** A request leaves: where nothing came for a while, the question leaves with it. */
  requested(): void {
    if (this.#waiting === undefined && this.#quietFor() >= this.#options.limits.quietMs) this.ask()
  }

  /** How long it is known that nothing came. */
  #quietFor(): number {
    const { socket, now } = this.#options
    const bytes = socket.bytesRead
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#since = now()
    }
    return now() - this.#since
  }

  /** The last request ended. */
  rested(): void {
    this.#quietFor()
  }

  /** Asks now, unless it is asking already. */
  ask(): void {
    if (this.#waiting !== undefined || this.#stopped) return
    const { session, socket, limits } = this.#options
    const before = socket.bytesRead
    this.#waiting = timer(limits.probeTimeoutMs, () => {
      // After this turn's reading: where this process itself stood still, the answer may be in the socket.
      setImmediate(() => this.#judge(before))
    })
    // Any byte will do, since an answer may be behind a lot of data.
    session.ping(() => this.#end())
  }

  #judge(before: number): void {
    if (this.#waiting === undefined || this.#stopped) return
    this.#end()
    if (this.#options.socket.bytesRead === before) this.#options.onSilent()
  }

  #end(): void {
    clearTimeout(this.#waiting)
    this.#waiting = undefined
    this.#quietFor()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#waiting)
    this.#waiting = undefined
  }
}
