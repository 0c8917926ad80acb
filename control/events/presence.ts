// Which hosts are connected to any replica, and since when the others are not. `culvert status` asks; a host that stays away, or comes
// back after that, is told once. Opened by app.ts; every replica watches for itself, so that whoever leads next knows.
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'

export interface PresenceOptions {
  /** The names of all hosts that have joined. */
  readonly hosts: () => Promise<readonly string[]>
  readonly isConnected: (host: string) => boolean
  /** Told of a host that has been away for `awayMs`, and how long a host had been away that is connected again. */
  readonly wentAway: (host: string, forMs: number) => void
  readonly cameBack: (host: string, afterMs: number) => void
  readonly log: Logger
  readonly timing?: Partial<PresenceTiming>
  /** Milliseconds since 1970. */
  readonly clock?: () => number
}

export interface PresenceTiming {
  readonly lookMs: number
  /** How often the names of hosts are read again. */
  readonly namesMs: number
  /** Shorter than this is a reconnect, which nobody wants to hear of. */
  readonly awayMs: number
}

const defaultTiming: PresenceTiming = { lookMs: 1000, namesMs: 30_000, awayMs: 30_000 }

type State =
  | { readonly kind: 'connected' }
  | { readonly kind: 'away'; readonly since: number }
  /** Away for so long that it was told. */
  | { readonly kind: 'missed'; readonly since: number }

export class Presence {
  readonly #options: PresenceOptions
  readonly #timing: PresenceTiming
  readonly #clock: () => number
  readonly #states = new Map<string, State>()
  #names: readonly string[] = []
  #namesDue = 0
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(options: PresenceOptions) {
    this.#options = options
    this.#timing = { ...defaultTiming, ...options.timing }
    this.#clock = options.clock ?? Date.now
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#looking = this.#looking.then(() => this.look())
    }, this.#timing.lookMs).unref()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
  }

  /** Since when a host is not connected, in milliseconds since 1970; undefined where it is, or nothing is known of it. */
  awaySince(host: string): number | undefined {
    const state = this.#states.get(host)
    return state === undefined || state.kind === 'connected' ? undefined : state.since
  }

  /** A host was revoked: nobody waits for it any more, until its name is found among the hosts again. */
  forget(host: string): void {
    this.#states.delete(host)
    this.#names = this.#names.filter((name) => name !== host)
    this.#namesDue = 0
  }

  /** Looks at every host once. Never rejects. */
  async look(): Promise<void> {
    const now = this.#clock()
    if (now >= this.#namesDue) await this.#readNames(now)
    for (const host of this.#names) this.#states.set(host, this.#next(host, now))
  }

  async #readNames(now: number): Promise<void> {
    try {
      this.#names = await this.#options.hosts()
      this.#namesDue = now + this.#timing.namesMs
    } catch (error: unknown) {
      const { code, message } = asMeshError(error, 'STORE_FAILED')
      this.#options.log.debug({ code }, `the hosts could not be read: ${message}`)
      return
    }
    const known = new Set(this.#names)
    for (const host of this.#states.keys()) if (!known.has(host)) this.#states.delete(host)
  }

  #next(host: string, now: number): State {
    const state = this.#states.get(host)
    if (this.#options.isConnected(host)) {
      if (state?.kind === 'missed') this.#options.cameBack(host, now - state.since)
      return { kind: 'connected' }
    }
    if (state === undefined || state.kind === 'connected') return { kind: 'away', since: now }
    if (state.kind === 'missed' || now - state.since < this.#timing.awayMs) return state
    this.#options.wentAway(host, now - state.since)
    return { kind: 'missed', since: state.since }
  }
}
