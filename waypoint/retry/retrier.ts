// Whether a request is tried again, and when: policy, number of retries, budget, deadlines, body and what the client has seen already.
// One per request; the retry layer asks after each try that failed.

import { type BackoffOptions, backoffMs } from './backoff.ts'
import type { RetryBudget } from './budget.ts'
import type { Deadlines } from './deadlines.ts'
import { type RetriedRequest, type RetryConditions, retriable, type TryOutcome } from './policy.ts'
import type { ReplayBuffer } from './replay-buffer.ts'

export interface RetryOptions {
  /** Besides the first try; 0 none. */
  readonly retries: number
  readonly conditions: RetryConditions
  /** Also those that are not idempotent; false where absent. */
  readonly anyMethod?: boolean | undefined
  readonly backoff?: BackoffOptions | undefined
}

export interface RetrierDeps {
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** [0, 1). */
  readonly random: () => number
  /** Absent: no budget. */
  readonly budget?: RetryBudget | undefined
  /** The circuit's place for a retry, given back by what it returns; undefined where there is none. Absent: no limit. */
  readonly admit?: (() => (() => void) | undefined) | undefined
}

/** Why the outcome goes to the client. `attempts-exhausted` is the access-log flag URX. */
export type NoRetry =
  | 'not-retriable'
  | 'response-started'
  | 'body-too-large'
  | 'deadline'
  | 'attempts-exhausted'
  | 'budget-exhausted'

export type RetryVerdict =
  | { readonly retry: true; readonly delayMs: number }
  | { readonly retry: false; readonly because: NoRetry }

export class Retrier {
  readonly #options: RetryOptions
  readonly #request: RetriedRequest
  readonly #body: ReplayBuffer
  readonly #deadlines: Deadlines
  readonly #deps: RetrierDeps
  #retries = 0
  #responseStarted = false
  #release: (() => void) | undefined

  constructor(
    options: RetryOptions,
    request: RetriedRequest,
    body: ReplayBuffer,
    deadlines: Deadlines,
    deps: RetrierDeps,
  ) {
    this.#options = options
    this.#request = request
    this.#body = body
    this.#deadlines = deadlines
    this.#deps = deps
    deps.budget?.began()
    if (options.retries <= 0) body.abandon()
  }

  /** Made so far: for `x-envoy-attempt-count` and the log. */
  get retries(): number {
    return this.#retries
  }

  /** The first byte of an answer, its headers too, goes to the client: nothing is tried again. */
  responseStarts(): void {
    this.#responseStarted = true
    this.#body.abandon()
  }

  /** A try ended so. With `retry` the place of the retry is taken: the next `after` or `close` gives it back. */
  after(outcome: TryOutcome): RetryVerdict {
    this.#giveBack()
    const because = this.#obstacle(outcome)
    if (because !== undefined) return { retry: false, because }
    const { clock, random } = this.#deps
    const delayMs = backoffMs(this.#retries + 1, this.#options.backoff ?? {}, random)
    if (!this.#deadlines.allows(delayMs, clock())) return { retry: false, because: 'deadline' }
    if (!this.#takePlace()) return { retry: false, because: 'budget-exhausted' }
    this.#retries += 1
    return { retry: true, delayMs }
  }

  #obstacle(outcome: TryOutcome): NoRetry | undefined {
    const { conditions, anyMethod = false, retries } = this.#options
    if (this.#responseStarted) return 'response-started'
    if (this.#deadlines.passed(this.#deps.clock()) === 'total') return 'deadline'
    if (!retriable(conditions, anyMethod, this.#request, outcome)) return 'not-retriable'
    if (this.#retries >= retries) return 'attempts-exhausted'
    if (this.#body.state === 'abandoned') return 'body-too-large'
    return undefined
  }

  #takePlace(): boolean {
    const { admit, budget } = this.#deps
    const place = admit?.()
    if (admit !== undefined && place === undefined) return false
    if (budget !== undefined && !budget.take()) {
      place?.()
      return false
    }
    this.#release = () => {
      place?.()
      budget?.done()
    }
    return true
  }

  #giveBack(): void {
    this.#release?.()
    this.#release = undefined
  }

  /** The request is over, however it ended. */
  close(): void {
    this.#giveBack()
    this.#body.abandon()
  }
}
