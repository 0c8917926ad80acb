// Cancelling what is made by the ten thousand: as an AbortSignal, but without the EventTarget behind it, which costs several
// microseconds for each connection (measured: a twentieth of what a daemon does for one). Used where a connection is established.

/** What a wait needs of a signal. An AbortSignal is one. */
export interface CancelSignal {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: true }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** A signal with its own switch. Listeners are called once, in the order in which they came; one that throws stops the others. */
export class Cancellation implements CancelSignal {
  #aborted = false
  #reason: unknown
  #listeners: (() => void)[] | undefined

  get aborted(): boolean {
    return this.#aborted
  }

  get reason(): unknown {
    return this.#reason
  }

  /** Later calls do nothing. */
  abort(reason?: unknown): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#reason = reason
    for (let next = this.#listeners?.shift(); next !== undefined; next = this.#listeners?.shift()) next()
  }

  /** Nobody who comes after the abort is called: ask `aborted` first. */
  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.#aborted) return
    this.#listeners ??= []
    if (!this.#listeners.includes(listener)) this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners?.indexOf(listener) ?? -1
    if (at >= 0) this.#listeners?.splice(at, 1)
  }
}

/** For those who want the real one: Node's own functions, and signals made of several. */
export function abortSignalOf(signal: CancelSignal): AbortSignal {
  if (signal instanceof AbortSignal) return signal
  const abort = new AbortController()
  if (signal.aborted) abort.abort(signal.reason)
  else signal.addEventListener('abort', () => abort.abort(signal.reason), { once: true })
  return abort.signal
}
