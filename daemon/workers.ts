// The data workers as the main thread sees them: starts them, asks all of them the same and collects the answers, and starts
// another one with the full state where one crashed. Owned by app.ts.
import { Worker } from 'node:worker_threads'
import { abortable, backoff, deadlineTimer, sleep } from '../core/base/deadline.ts'
import { type ErrorCode, errorCodes, MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import type { MetricSnapshot } from '../core/base/metrics.ts'
import type { Operation, WorkerAnswer, WorkerOperations, WorkerSetup, WorkerState } from './worker-messages.ts'
import { WorkerMetrics } from './worker-metrics.ts'

export interface WorkersOptions {
  readonly count: number
  readonly setup: Omit<WorkerSetup, 'index'>
  /** What a worker that starts late must know; undefined while there is nothing. */
  readonly state: () => WorkerState | undefined
  /** Starts the thread; tests hand in another script. */
  readonly spawn?: (setup: WorkerSetup) => Worker
  readonly log: Logger
}

interface Pending {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: MeshError) => void
  readonly timer: NodeJS.Timeout | undefined
}

/** A worker that leaves a question unanswered for so long is stuck; its caller goes on without it. */
const answerTimeoutMs = 30_000

const restart = { baseMs: 100, maxMs: 5000 } as const
/** A worker that served so long starts its count of failures anew. */
const healthyMs = 60_000

/**
 * Semi-spaces of 16 MiB (a third of this): with 4 a sixth fewer new connections per second. V8's own 32 bring no more, and what a
 * rush of connections leaves behind goes back to the system when the thread is quiet (core/base/quiet.ts).
 */
const resourceLimits = { maxYoungGenerationSizeMb: 48 } as const

function spawnWorker(setup: WorkerSetup): Worker {
  const script = new URL('./worker.ts', import.meta.url)
  return new Worker(script, { workerData: setup, name: `data-${setup.index}`, resourceLimits })
}

export class Workers {
  readonly #options: WorkersOptions
  readonly #threads: WorkerThread[]
  readonly #metrics = new WorkerMetrics()

  constructor(options: WorkersOptions) {
    this.#options = options
    this.#threads = Array.from(
      { length: options.count },
      (_, index) => new WorkerThread(options, index, () => this.#metrics.ended(index)),
    )
  }

  /** Resolves once every worker takes requests. */
  async start(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.ready))
  }

  /** Asks every worker. Rejects where one crashed over it; that one comes back with the full state. */
  async all<O extends Operation>(
    operation: O,
    request: WorkerOperations[O]['request'],
  ): Promise<readonly WorkerOperations[O]['answer'][]> {
    return await Promise.all(this.#threads.map((thread) => thread.ask(operation, request)))
  }

  /** Asks every worker and leaves out those that crashed over it. */
  async some<O extends Operation>(
    operation: O,
    request: WorkerOperations[O]['request'],
    timeoutMs: number = answerTimeoutMs,
  ): Promise<readonly WorkerOperations[O]['answer'][]> {
    const results = await Promise.allSettled(this.#threads.map((thread) => thread.ask(operation, request, timeoutMs)))
    for (const result of results) {
      if (result.status === 'rejected')
        this.#options.log.warn({ err: result.reason, operation }, 'a worker did not answer')
    }
    return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  }

  /** The counters and gauges of all workers, to be added up. */
  async metrics(): Promise<readonly MetricSnapshot[]> {
    const asked = this.#threads.map(async (thread, index) => {
      try {
        this.#metrics.seen(index, await thread.ask('metrics', {}))
      } catch (error: unknown) {
        this.#options.log.warn({ err: error, worker: index }, 'a worker did not say what it counted')
      }
    })
    await Promise.all(asked)
    return this.#metrics.all()
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()))
  }
}

class WorkerThread {
  readonly #options: WorkersOptions
  readonly #index: number
  readonly #onEnd: () => void
  readonly #pending = new Map<number, Pending>()
  readonly #closing = new AbortController()
  #ready = Promise.withResolvers<Worker>()
  #worker: Worker | undefined
  #nextId = 1
  #running: Promise<void>

  constructor(options: WorkersOptions, index: number, onEnd: () => void) {
    this.#options = options
    this.#index = index
    this.#onEnd = onEnd
    this.#ready.promise.catch(() => {})
    this.#running = this.#run()
  }

  get ready(): Promise<Worker> {
    return this.#ready.promise
  }

  async ask<O extends Operation>(
    operation: O,
    request: WorkerOperations[O]['request'],
    timeoutMs: number = answerTimeoutMs,
  ): Promise<WorkerOperations[O]['answer']> {
    const { signal } = this.#closing
    const worker = await abortable(this.#ready.promise, signal, () => new MeshError('DRAINING', 'the workers stop'))
    return await this.#post(worker, operation, request, timeoutMs)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#ready.reject(new MeshError('DRAINING', 'the workers stop'))
    await this.#worker?.terminate()
    await this.#running
  }

  #post<O extends Operation>(
    worker: Worker,
    operation: O,
    request: WorkerOperations[O]['request'],
    timeoutMs: number,
  ): Promise<WorkerOperations[O]['answer']> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const timer = deadlineTimer(timeoutMs, () => {
        this.#pending.delete(id)
        reject(new MeshError('ABORTED', `worker ${this.#index} did not answer ${operation} within ${timeoutMs} ms`))
      })
      this.#pending.set(id, { resolve: resolve as Pending['resolve'], reject, timer })
      worker.postMessage({ ...request, id, operation })
    })
  }

  async #run(): Promise<void> {
    const { log } = this.#options
    const { signal } = this.#closing
    for (let failures = 0; !signal.aborted; failures++) {
      const startedAt = performance.now()
      const reason = await this.#live()
      if (signal.aborted) return
      if (performance.now() - startedAt > healthyMs) failures = 0
      const waitMs = Math.round(backoff(failures, restart))
      log.error(
        { err: reason, worker: this.#index, waitMs },
        'a data worker crashed; its connections are lost; starting another',
      )
      await sleep(waitMs, signal).catch(() => {})
    }
  }

  /** One life of a worker; resolves with why it ended. */
  async #live(): Promise<unknown> {
    const spawn = this.#options.spawn ?? spawnWorker
    const worker = spawn({ ...this.#options.setup, index: this.#index })
    this.#worker = worker
    const ended = Promise.withResolvers<unknown>()
    let failure: unknown
    worker.on('error', (error) => {
      failure = error
    })
    worker.on('message', (message: WorkerAnswer) => this.#take(worker, message))
    worker.on('exit', (code) => ended.resolve(failure ?? new Error(`exit code ${code}`)))
    const reason = await ended.promise
    this.#onEnd()
    if (!this.#closing.signal.aborted) {
      this.#ready = Promise.withResolvers<Worker>()
      this.#ready.promise.catch(() => {})
    }
    for (const id of [...this.#pending.keys()]) {
      this.#settle(id)?.reject(new MeshError('ABORTED', 'the data worker crashed'))
    }
    return reason
  }

  #take(worker: Worker, message: WorkerAnswer): void {
    if (message.type === 'ready') return void this.#begin(worker)
    const pending = this.#settle(message.id)
    if (message.type === 'answer') pending?.resolve(message.answer)
    else pending?.reject(new MeshError(codeOf(message.code), message.message))
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    clearTimeout(pending?.timer)
    return pending
  }

  /** The full state is posted before anything that waits for `ready`, so nothing overtakes it. */
  async #begin(worker: Worker): Promise<void> {
    const state = this.#options.state()
    const applied = state === undefined ? undefined : this.#post(worker, 'state', state, answerTimeoutMs)
    this.#ready.resolve(worker)
    try {
      const failed = (await applied)?.failed ?? {}
      for (const [workload, reason] of Object.entries(failed)) {
        this.#options.log.warn({ workload, reason }, 'a workload cannot be served')
      }
    } catch (error: unknown) {
      this.#options.log.error({ err: error, worker: this.#index }, 'a worker could not take the state')
    }
  }
}

function codeOf(code: string): ErrorCode {
  return Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'SYSTEM_CALL'
}
