// The receive window of a session and what its streams hold back. Bytes are granted again when they arrive, not when they are
// read: a slow reader stalls its own stream only, until the session or the thread holds too much. Owned by engine.ts.
import type { SessionLimits } from '../limits.ts'
import { ReceiveWindow } from './flow.ts'
import { type HeldBudget, heldBudget } from './held-budget.ts'
import { initialSessionWindow, initialStreamWindow, maxSessionWindow, WindowGrowth } from './window-growth.ts'

/** Received bytes without a reader that are still admitted again; beyond them the session waits for its readers. */
const heldWindows = 4

export interface SessionWindowHooks {
  readonly ping: (onAnswer: () => void) => void
  readonly grant: (bytes: number) => void
}

export class SessionWindow {
  readonly #limits: SessionLimits
  readonly #hooks: SessionWindowHooks
  readonly #budget: HeldBudget
  readonly #window: ReceiveWindow
  readonly #growth: WindowGrowth
  #held = 0
  #stopped = false

  constructor(
    limits: SessionLimits,
    hooks: SessionWindowHooks,
    budget: HeldBudget = heldBudget,
    clock: () => number = () => performance.now(),
  ) {
    this.#limits = limits
    this.#hooks = hooks
    this.#budget = budget
    this.#window = new ReceiveWindow(initialSessionWindow(limits))
    this.#growth = new WindowGrowth(limits, hooks.ping, clock)
  }

  /** How large the windows of streams are now. */
  get streamBytes(): number {
    return this.#budget.tight ? initialStreamWindow(this.#limits) : this.#growth.streamBytes
  }

  /** False where the peer sent more than it may. */
  receive(bytes: number): boolean {
    if (!this.#window.receive(bytes)) return false
    this.#growth.received(bytes)
    return true
  }

  consume(bytes: number): void {
    this.#window.consume(bytes)
    this.#grant()
  }

  /** More (or less) received bytes wait for a reader. */
  holds(bytes: number): void {
    this.#held += bytes
    this.#budget.add(bytes)
    if (bytes < 0) this.#grant()
  }

  stop(): void {
    this.#stopped = true
    this.#budget.forget(this.#wake)
  }

  readonly #wake = (): void => this.#grant()

  #grant(): void {
    if (this.#stopped) return
    const { free } = this.#budget
    const withheld = Math.max(0, this.#held - Math.min(heldWindows * maxSessionWindow(this.#limits), free))
    if (this.#held > free) this.#budget.wait(this.#wake)
    const size = this.#budget.tight ? initialSessionWindow(this.#limits) : this.#growth.sessionBytes
    const bytes = this.#window.grant(size, withheld)
    if (bytes > 0) this.#hooks.grant(bytes)
  }
}
