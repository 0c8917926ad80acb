// Readiness: a process is ready when every task that was registered at its start has finished. The admin server answers
// /ready from this; `app.ts` registers the tasks.
import { MeshError } from './errors.ts'

export class Readiness {
  readonly #pending = new Map<symbol, string>()
  readonly #waiting = new Set<() => void>()

  /** Registers something that must happen before the process is ready; the returned function says that it did. */
  task(name: string): () => void {
    const key = Symbol(name)
    this.#pending.set(key, name)
    return () => {
      if (!this.#pending.delete(key) || this.#pending.size > 0) return
      for (const wake of [...this.#waiting]) wake()
    }
  }

  /** Names of the tasks that have not finished. */
  get pending(): readonly string[] {
    return [...this.#pending.values()]
  }

  get ready(): boolean {
    return this.#pending.size === 0
  }

  /** Resolves when ready; rejects with ABORTED, naming what is still pending, when `signal` aborts. */
  wait(signal?: AbortSignal): Promise<void> {
    if (this.ready) return Promise.resolve()
    const aborted = () =>
      new MeshError('ABORTED', `not ready, still pending: ${this.pending.join(', ')}`, { cause: signal?.reason })
    if (signal?.aborted) return Promise.reject(aborted())
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        this.#waiting.delete(wake)
        signal?.removeEventListener('abort', abort)
        finish()
      }
      const wake = () => settle(resolve)
      const abort = () => settle(() => reject(aborted()))
      this.#waiting.add(wake)
      signal?.addEventListener('abort', abort, { once: true })
    })
  }
}
