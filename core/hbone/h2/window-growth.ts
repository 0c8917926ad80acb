// How large the receive windows of a session are: small at first, so that idle streams and slow readers promise little and small
// messages wait behind little bulk, larger where a path needs it. Owned by engine.ts.
import type { SessionLimits } from '../limits.ts'
import { defaultWindow } from './protocol.ts'

/** Shorter measurements see single bursts. */
const minSampleMs = 10
const pauseMs = 50
const firstWaitMs = 250
const maxWaitMs = 60_000
/** A window that is twice as large must bring at least this, or it only makes queues longer. */
const worthwhile = 1.2

type Phase =
  | { readonly name: 'waiting'; readonly until: number }
  | { readonly name: 'sampling'; readonly since: number; bytes: number; rttMs: number | undefined }

/**
 * Doubles the windows while the peer fills them within a round trip (measured by PING, and only where data flows), and takes a
 * step back that brought no more throughput: beyond the bandwidth-delay product a window is but a queue.
 */
export class WindowGrowth {
  readonly #limits: SessionLimits
  readonly #ping: (onAnswer: () => void) => void
  readonly #clock: () => number
  #streamBytes: number
  #phase: Phase = { name: 'waiting', until: 0 }
  #unseen = 0
  /** Bytes per millisecond before the last step, while it is on trial. */
  #rateBefore: number | undefined
  /** The first sample after a step still sees the windows before it. */
  #settling = false
  #waitMs = firstWaitMs

  constructor(limits: SessionLimits, ping: (onAnswer: () => void) => void, clock: () => number) {
    this.#limits = limits
    this.#ping = ping
    this.#clock = clock
    this.#streamBytes = initialStreamWindow(limits)
  }

  get streamBytes(): number {
    return this.#streamBytes
  }

  /** In proportion to that of streams. */
  get sessionBytes(): number {
    const steps = this.#streamBytes / initialStreamWindow(this.#limits)
    return Math.min(maxSessionWindow(this.#limits), initialSessionWindow(this.#limits) * steps)
  }

  /** DATA came in. The clock is read once in half a window. */
  received(bytes: number): void {
    this.#unseen += bytes
    if (this.#unseen * 2 < this.#streamBytes) return
    const phase = this.#phase
    if (phase.name === 'sampling') phase.bytes += this.#unseen
    this.#unseen = 0
    const now = this.#clock()
    if (phase.name === 'waiting') {
      if (now >= phase.until) this.#sample(now)
    } else if (phase.rttMs !== undefined && now - phase.since >= Math.max(minSampleMs, phase.rttMs)) {
      this.#judge(phase.bytes / (now - phase.since), phase.rttMs, now)
    }
  }

  #sample(now: number): void {
    const phase: Phase = { name: 'sampling', since: now, bytes: 0, rttMs: undefined }
    this.#phase = phase
    this.#ping(() => {
      phase.rttMs = this.#clock() - phase.since
    })
  }

  #judge(rate: number, rttMs: number, now: number): void {
    const before = this.#rateBefore
    if (before !== undefined && this.#settling) {
      this.#settling = false
      this.#sample(now)
      return
    }
    this.#rateBefore = undefined
    if (before !== undefined && rate < worthwhile * before) {
      this.#streamBytes /= 2
      this.#phase = { name: 'waiting', until: now + this.#waitMs }
      this.#waitMs = Math.min(maxWaitMs, 2 * this.#waitMs)
      return
    }
    if (before !== undefined) this.#waitMs = firstWaitMs
    const filled = rate * rttMs * 2 >= this.#streamBytes
    if (!filled || this.#streamBytes * 2 > maxStreamWindow(this.#limits)) {
      this.#phase = { name: 'waiting', until: now + pauseMs }
      return
    }
    this.#rateBefore = rate
    this.#settling = true
    this.#streamBytes *= 2
    this.#sample(now)
  }
}

export function maxStreamWindow(limits: SessionLimits): number {
  return Math.max(defaultWindow, limits.streamWindowBytes)
}

export function maxSessionWindow(limits: SessionLimits): number {
  return Math.max(defaultWindow, limits.sessionWindowBytes)
}

export function initialStreamWindow(limits: SessionLimits): number {
  return Math.min(maxStreamWindow(limits), Math.max(defaultWindow, limits.initialStreamWindowBytes))
}

export function initialSessionWindow(limits: SessionLimits): number {
  return Math.min(maxSessionWindow(limits), Math.max(defaultWindow, limits.initialSessionWindowBytes))
}
