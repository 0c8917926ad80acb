// A replica's part of one mesh-wide limit: admits from the tokens that it holds and says when to ask the keeper for more. Without
// timers and messages: the rate-limit layer carries `wants` to LimitLeases and the answer back.

import type { KnownLevel, LeaseGrant, LeaseRequest } from './leases.ts'
import type { BucketSize } from './token-bucket.ts'

export interface LeasedOptions {
  readonly replica: string
  readonly limit: string
  readonly size: BucketSize
  /** Tokens that may be spent before the first answer comes; told to the keeper. 1 lets the first request pass. */
  readonly creditTokens: number
  /** Ask again so often while there is demand. */
  readonly askMs: number
  /** At the soonest, where the tokens are used up. */
  readonly askSoonMs: number
  /** An answer that has not come after this long is given up. */
  readonly patienceMs: number
}

/** What does not depend on the limit. */
export type LeasedTiming = Omit<LeasedOptions, 'replica' | 'limit' | 'size'>

export const leasedDefaults: LeasedTiming = {
  creditTokens: 1,
  askMs: 300,
  askSoonMs: 50,
  patienceMs: 1_000,
}

interface Asked {
  readonly request: LeaseRequest
  readonly atMs: number
  /** Spent since it was sent. */
  spentSince: number
}

export class LeasedLimit {
  readonly #options: LeasedOptions
  #held = 0
  #validUntilMs = Number.NEGATIVE_INFINITY
  /** Not told yet, or told in a request without an answer. */
  #spent = 0
  /** May be spent before the first answer. */
  #credit: number
  /** Kept from the last rest: the keeper knows them as spent. */
  #prepaid = 0
  #sequence = 0
  #asked: Asked | undefined
  #askedAtMs = Number.NEGATIVE_INFINITY
  #unansweredSinceMs: number | undefined
  #known: { readonly level: number; readonly atMs: number } | undefined
  #wished = 0
  #demandPerSecond = 0

  constructor(options: LeasedOptions) {
    this.#options = options
    this.#credit = options.creditTokens
  }

  /** What the keeper said last. */
  known(nowMs: number): KnownLevel | undefined {
    return this.#known && { level: this.#known.level, ageMs: Math.max(0, nowMs - this.#known.atMs) }
  }

  /** Whole tokens at hand. */
  remaining(nowMs: number): number {
    return nowMs < this.#validUntilMs ? Math.floor(this.#held) : 0
  }

  /** @returns whether the request may pass. @param nowMs monotonic milliseconds, here and below */
  take(cost: number, nowMs: number): boolean {
    this.#wished += cost
    if (nowMs >= this.#validUntilMs) this.#held = 0
    if (this.#held < cost && this.#prepaid >= cost) {
      this.#prepaid -= cost
      return true
    }
    if (this.#held >= cost) this.#held -= cost
    else if (this.#credit >= cost) this.#credit -= cost
    else return false
    this.#spent += cost
    if (this.#asked !== undefined) this.#asked.spentSince += cost
    return true
  }

  /** Puts back what was taken for a request that another limit refused. */
  give(cost: number): void {
    this.#held += cost
    this.#spent -= cost
    if (this.#asked !== undefined) this.#asked.spentSince -= cost
  }

  /** Whether the keeper should hear of it, now or later. */
  active(nowMs: number): boolean {
    return this.#wished > 0 || this.#spent > 0 || this.#asked !== undefined || this.remaining(nowMs) > 0
  }

  /** The request to send now, if any. One without clients gives back what it holds and asks no more. */
  wants(nowMs: number, size: BucketSize = this.#options.size): LeaseRequest | undefined {
    const { askMs, askSoonMs, patienceMs } = this.#options
    const since = nowMs - this.#askedAtMs
    if (this.#asked !== undefined && since < patienceMs) return undefined
    const idle = this.#wished === 0 && this.#spent === 0
    if (idle && this.remaining(nowMs) === 0) return undefined
    if (since < (this.remaining(nowMs) < 1 ? askSoonMs : askMs)) return undefined
    this.#measure(since)
    return idle ? this.leave(nowMs, size, this.#options.creditTokens - this.#prepaid) : this.#ask(nowMs, size)
  }

  /** To be sent when the replica goes; from now on it holds nothing. */
  leave(nowMs: number, size: BucketSize = this.#options.size, keeps = 0): LeaseRequest {
    const request = this.#ask(nowMs, size, { keeps })
    this.#held = 0
    this.#credit = 0
    return request
  }

  #measure(sinceMs: number): void {
    const rate = (this.#wished * 1_000) / Math.max(1, sinceMs)
    // The first time there is nothing to measure against.
    this.#demandPerSecond = Number.isFinite(sinceMs) ? (this.#demandPerSecond + rate) / 2 : this.#wished
    this.#wished = 0
  }

  #ask(nowMs: number, size: BucketSize, leaving?: LeaseRequest['leaving']): LeaseRequest {
    this.#sequence += 1
    const request: LeaseRequest = {
      replica: this.#options.replica,
      limit: this.#options.limit,
      size,
      sequence: this.#sequence,
      held: nowMs < this.#validUntilMs ? this.#held : 0,
      spent: this.#spent,
      demandPerSecond: this.#demandPerSecond,
      known: this.known(nowMs),
      ...(leaving !== undefined && { leaving }),
    }
    this.#asked = { request, atMs: nowMs, spentSince: 0 }
    this.#askedAtMs = nowMs
    this.#unansweredSinceMs ??= nowMs
    return request
  }

  /** The answer came; one to a request that was given up counts for nothing. */
  granted(grant: LeaseGrant, nowMs: number): void {
    const asked = this.#asked
    if (asked === undefined || asked.request.sequence !== grant.sequence) return
    this.#asked = undefined
    this.#unansweredSinceMs = undefined
    this.#known = { level: grant.level, atMs: asked.atMs }
    this.#spent = asked.spentSince
    if (asked.request.leaving !== undefined) {
      this.#prepaid += grant.tokens
      return
    }
    // Whoever has had an answer lives on grants.
    this.#credit = 0
    if (nowMs >= this.#validUntilMs) this.#held = 0
    this.#held += grant.tokens
    // From when it was sent: so the keeper never forgets tokens that are still spent here.
    this.#validUntilMs = asked.atMs + grant.validMs
  }

  /** No answer: what was spent is told the next time. */
  failed(sequence: number): void {
    if (this.#asked?.request.sequence === sequence) this.#asked = undefined
  }

  /** For how long the keeper has not answered, 0 where it has; what the layer makes of that is the policy's. */
  unansweredMs(nowMs: number): number {
    return this.#unansweredSinceMs === undefined ? 0 : nowMs - this.#unansweredSinceMs
  }
}
