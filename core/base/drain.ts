// Drain: how a process, a workload or a listener goes away without cutting what is in flight. Whoever works holds a guard;
// whoever stops starts the drain, tells everybody through the signal, and waits for the last guard or for the deadline.
import { deadlineTimer } from './deadline.ts'

export class Drain {
  readonly #abort = new AbortController()
  readonly #idle = new Set<() => void>()
  #active = 0
  #result: Promise<'drained' | 'deadline'> | undefined

  /** Aborts when the drain starts: stop accepting, finish what is there. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Guards that are held now. */
  get active(): number {
    return this.#active
  }

  /**
   * Holds the drain open until the guard is disposed (once or several times). A guard taken after the drain started counts
   * too: a connection that was accepted at the same moment is finished, not cut.
   */
  guard(): Disposable {
    this.#active += 1
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        this.#active -= 1
        if (this.#active === 0) for (const wake of [...this.#idle]) wake()
      },
    }
  }

  /**
   * Starts the drain and waits at most `deadlineMs`, which may be `Infinity`, for the last guard. A second call joins the first, deadline included.
   * The timer keeps the process alive, because a drain that nobody waits for would be no drain.
   */
  start(deadlineMs: number): Promise<'drained' | 'deadline'> {
    if (this.#result === undefined) {
      this.#result = this.#wait(deadlineMs)
      this.#abort.abort()
    }
    return this.#result
  }

  #wait(deadlineMs: number): Promise<'drained' | 'deadline'> {
    return new Promise((resolve) => {
      const settle = (result: 'drained' | 'deadline') => {
        clearTimeout(timer)
        this.#idle.delete(wake)
        resolve(result)
      }
      const wake = () => settle('drained')
      const timer = deadlineTimer(deadlineMs, () => settle('deadline'))
      this.#idle.add(wake)
      // Listeners of the signal run first (start() aborts right after this) and may release or take guards.
      queueMicrotask(() => {
        if (this.#active === 0) wake()
      })
    })
  }
}
