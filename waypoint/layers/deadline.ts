// The deadlines of one request with their one timer: gives up the try that is under way when one passes. Made by the timeout layer.
import type { Exchange } from '../exchange.ts'
import { type DeadlineOptions, Deadlines } from '../retry/deadlines.ts'
import type { StackDeps } from './deps.ts'

/** Whose deadline it is. */
interface Timed {
  /** The try that is given up when a deadline passes. */
  readonly attempt: Exchange
  readonly deps: Pick<StackDeps, 'timers' | 'clock'>
}

export class RequestDeadline {
  readonly times: Deadlines
  readonly #request: Timed
  #timer: object | undefined
  #stopped = false

  constructor(options: DeadlineOptions, request: Timed) {
    this.#request = request
    this.times = new Deadlines(options, request.deps.clock())
    this.#arm()
  }

  tryBegins(): void {
    this.times.tryBegins(this.#request.deps.clock())
    this.#arm()
  }

  tryEnds(): void {
    this.times.tryEnds()
    this.#arm()
  }

  /** From now on the request may take as long as it likes. */
  stop(): void {
    this.#stopped = true
    this.#disarm()
  }

  #arm(): void {
    this.#disarm()
    const { nextMs } = this.times
    if (this.#stopped || nextMs === Number.POSITIVE_INFINITY) return
    const { timers, clock } = this.#request.deps
    this.#timer = timers.start(() => this.#look(), Math.max(0, nextMs - clock()))
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#request.deps.timers.stop(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    this.#timer = undefined
    const passed = this.times.passed(this.#request.deps.clock())
    if (passed === 'total') this.#request.attempt.abandon('timeout')
    else if (passed === 'try') this.#request.attempt.abandon('try-timeout')
    // a timer may be a little early
    else this.#arm()
  }
}
