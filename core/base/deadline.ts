// Waiting with an end: deadlines, abortable promises, backoff and sleep. Every wait in the mesh goes through one of these.
import { abortSignalOf, type CancelSignal } from './cancel.ts'
import { MeshError } from './errors.ts'

const longestTimerMs = 2 ** 31 - 1

/**
 * A signal that aborts after `ms` milliseconds, or earlier with `signal`. Its timer does not keep the process alive.
 * The reason is a `TimeoutError` DOMException, or the reason of `signal`.
 */
export function deadline(ms: number, signal?: CancelSignal): AbortSignal {
  const timeout = AbortSignal.timeout(Math.min(longestTimerMs, Math.max(0, Math.ceil(ms))))
  return signal === undefined ? timeout : AbortSignal.any([timeout, abortSignalOf(signal)])
}

/**
 * Settles as `promise` does, or rejects with `onAbort()` as soon as `signal` aborts. The promise itself goes on; a later
 * rejection of it is not reported as unhandled.
 */
export function abortable<T>(promise: Promise<T>, signal: CancelSignal, onAbort: () => MeshError): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => {})
    return Promise.reject(onAbort())
  }
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(onAbort())
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/**
 * Milliseconds to wait before retry number `attempt` (0 is the first): doubles from `baseMs` up to `maxMs`, of which the
 * upper half is random, so that many hosts that failed together do not return together.
 */
export function backoff(
  attempt: number,
  limits: { readonly baseMs: number; readonly maxMs: number },
  random: () => number = Math.random,
): number {
  const full = Math.min(limits.maxMs, limits.baseMs * 2 ** Math.min(Math.max(0, attempt), 52))
  return full / 2 + (full / 2) * random()
}

/** Calls back after `ms`; never, and without a timer, where that is `Infinity`. The timer keeps the process alive. */
export function deadlineTimer(ms: number, late: () => void): NodeJS.Timeout | undefined {
  return ms === Number.POSITIVE_INFINITY ? undefined : setTimeout(late, Math.min(longestTimerMs, ms))
}

/** Waits; rejects with ABORTED when `signal` aborts. The timer keeps the process alive. */
export function sleep(ms: number, signal?: CancelSignal): Promise<void> {
  const aborted = () => new MeshError('ABORTED', 'the wait was cancelled', { cause: signal?.reason })
  if (signal?.aborted) return Promise.reject(aborted())
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(aborted())
    }
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      },
      Math.min(longestTimerMs, Math.max(0, ms)),
    )
    signal?.addEventListener('abort', abort, { once: true })
  })
}
