// One write at a time in this process, and another attempt where a second replica was faster. resources.ts does every write in it.
import { setTimeout as sleep } from 'node:timers/promises'
import { MeshError } from '../../core/base/errors.ts'
import { ApiError } from './errors.ts'

/** More than Kubernetes' five: here every write of a replica stands in one queue, so that others have had their turn by then. */
const maxAttempts = 20

/** A pause between attempts, the longer the more have failed; random, so that replicas do not meet again. */
const maxPauseMs = 100

export class WriteLock {
  #last: Promise<unknown> = Promise.resolve()

  /**
   * Runs `work` once those before it are done: the checks between objects must see what they are checked against. `work` reads what
   * it needs by itself, and runs again where the store says that it has changed since. Throws Conflict where that never ends.
   */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() => repeated(work))
    this.#last = result.catch(() => undefined)
    return result
  }
}

async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error: unknown) {
      if (!isContested(error)) throw error
      if (attempt === maxAttempts) throw exhausted(error)
      await sleep(Math.random() * Math.min(maxPauseMs, 2 ** attempt))
    }
  }
}

/** The store found another revision; what a client asked for by revision or uid is an ApiError, and its own affair. */
function isContested(error: unknown): boolean {
  return error instanceof MeshError && !(error instanceof ApiError) && error.code === 'RESOURCE_CONFLICT'
}

function exhausted(cause: unknown): ApiError {
  const why = 'the object has been modified; please apply your changes to the latest version and try again'
  return new ApiError('Conflict', `Operation cannot be fulfilled: ${why}`, { cause })
}
