// A small HTTP client for the lab: steady requests over kept or fresh connections, counting every failure and who answered. Runs
// inside a workload as `node lab/load/main.ts JSON`; the demo and the netns tests read its report.
import { Agent, request } from 'node:http'
import { sleep } from '../../core/base/deadline.ts'
import { podOf } from '../calls/call.ts'

export interface LoadPlan {
  readonly url: string
  /** Ends after this many requests, or after `durationMs`. */
  readonly count?: number
  readonly durationMs?: number
  readonly concurrency?: number
  /** A new connection per request. */
  readonly fresh?: boolean
  /** Pause of each of the concurrent callers between requests. */
  readonly pauseMs?: number
  readonly timeoutMs?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent with POST. */
  readonly body?: string
  /** Statuses that are no failure; any of 200–299 if absent. */
  readonly expected?: readonly number[]
  /** Answers that took at least this long are counted as `slow`. */
  readonly slowMs?: number
  /** Each request names itself with a header `x-echo-uuid` of its own: this text and its number. */
  readonly uuid?: string
  /** As every HTTP client does: again, where a kept connection ended before a byte of the answer. Counted as `stale`. */
  readonly retryStale?: boolean
}

export interface LoadReport {
  readonly requests: number
  readonly succeeded: number
  readonly failed: number
  /** Failures by error code, or `status 503`. */
  readonly failures: Readonly<Record<string, number>>
  /** Answers by status, expected or not. */
  readonly statuses: Readonly<Record<string, number>>
  /** Expected answers by the instance of the echo workload that gave them. */
  readonly backends: Readonly<Record<string, number>>
  readonly slow: number
  readonly stale: number
  /** Connections that were opened. */
  readonly connections: number
  readonly durationMs: number
  readonly medianMs: number
  readonly slowestMs: number
  /** Body of the first answer. */
  readonly first?: string
}

const keptTimes = 100_000

interface Stale {
  stale: boolean
}

/** Runs the plan to its end. Never rejects for a failed request: failures are what it counts. */
export async function runLoad(plan: LoadPlan, signal?: AbortSignal): Promise<LoadReport> {
  const run = new Load(plan)
  const callers = Array.from({ length: plan.concurrency ?? 1 }, () => run.caller(signal))
  await Promise.all(callers)
  return run.report()
}

class Load {
  readonly #plan: LoadPlan
  readonly #agent: Agent
  readonly #begin = performance.now()
  readonly #failures: Record<string, number> = {}
  readonly #times: number[] = []
  #started = 0
  #succeeded = 0
  #failed = 0
  #connections = 0
  #first: string | undefined
  #slow = 0
  #stale = 0
  readonly #statuses: Record<string, number> = {}
  readonly #backends: Record<string, number> = {}

  constructor(plan: LoadPlan) {
    this.#plan = plan
    this.#agent = new Agent({ keepAlive: plan.fresh !== true, maxSockets: plan.concurrency ?? 1 })
  }

  async caller(signal: AbortSignal | undefined): Promise<void> {
    while (this.#more() && signal?.aborted !== true) {
      this.#started++
      const begin = performance.now()
      try {
        const body = await this.#tried(this.#started)
        this.#succeeded++
        this.#first ??= body
        const ms = performance.now() - begin
        if (ms >= (this.#plan.slowMs ?? Number.POSITIVE_INFINITY)) this.#slow++
        if (this.#times.length < keptTimes) this.#times.push(ms)
      } catch (error: unknown) {
        this.#fail(error)
      }
      if (this.#plan.pauseMs !== undefined) await sleep(this.#plan.pauseMs)
    }
  }

  #more(): boolean {
    const { count, durationMs } = this.#plan
    if (count !== undefined && this.#started >= count) return false
    return durationMs === undefined || performance.now() - this.#begin < durationMs
  }

  #fail(error: unknown): void {
    const code = (error as { readonly code?: unknown }).code
    const key = typeof code === 'string' ? code : error instanceof Error ? error.message : String(error)
    this.#failures[key] = (this.#failures[key] ?? 0) + 1
    this.#failed++
  }

  async #tried(number: number): Promise<string> {
    // As often as there are connections: those that were kept beside this one may have ended with it.
    for (let left = this.#plan.concurrency ?? 1; ; left -= 1) {
      try {
        return await this.#one(number)
      } catch (error: unknown) {
        if (this.#plan.retryStale !== true || !(error as Stale).stale || left === 0) throw error
        this.#stale++
      }
    }
  }

  #one(number: number): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const { url, body, headers, timeoutMs = 10_000 } = this.#plan
    const outgoing = request(url, {
      method: body === undefined ? 'GET' : 'POST',
      agent: this.#agent,
      timeout: timeoutMs,
      headers: {
        ...headers,
        ...(this.#plan.fresh === true ? { connection: 'close' } : {}),
        ...(this.#plan.uuid === undefined ? {} : { 'x-echo-uuid': `${this.#plan.uuid}${number}` }),
      },
    })
    outgoing.once('socket', (socket) => {
      if (socket.connecting) this.#connections++
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer in ${timeoutMs} ms`)))
    let answering = false
    outgoing.once('error', (error: NodeJS.ErrnoException & Partial<Stale>) => {
      error.stale = outgoing.reusedSocket && !answering && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '')
      reject(error)
    })
    outgoing.once('response', (response) => {
      answering = true
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => {
        // Of a large download only its beginning matters.
        if (chunks.length < 64) chunks.push(chunk)
      })
      response.once('error', reject)
      response.once('end', () => {
        const status = response.statusCode ?? 0
        this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
        if (!this.#isExpected(status)) return reject(new Error(`status ${status}`))
        const body = Buffer.concat(chunks).toString('utf8')
        const pod = podOf({ body })
        if (pod !== undefined) this.#backends[pod] = (this.#backends[pod] ?? 0) + 1
        resolve(body)
      })
    })
    outgoing.end(body)
    return promise
  }

  #isExpected(status: number): boolean {
    return this.#plan.expected?.includes(status) ?? (status >= 200 && status < 300)
  }

  report(): LoadReport {
    this.#agent.destroy()
    const sorted = this.#times.toSorted((a, b) => a - b)
    const round = (value: number | undefined): number => Math.round((value ?? 0) * 100) / 100
    return {
      requests: this.#started,
      succeeded: this.#succeeded,
      failed: this.#failed,
      failures: this.#failures,
      statuses: this.#statuses,
      backends: this.#backends,
      slow: this.#slow,
      stale: this.#stale,
      connections: this.#connections,
      durationMs: Math.round(performance.now() - this.#begin),
      medianMs: round(sorted[Math.floor(sorted.length / 2)]),
      slowestMs: round(sorted.at(-1)),
      ...(this.#first === undefined ? {} : { first: this.#first }),
    }
  }
}
