// New connections and name look-ups at a fixed rate, whatever becomes of those before them, until it is told to stop. Started by
// main.ts in a workload.
import { Resolver } from 'node:dns/promises'
import { one } from './short.ts'

export interface SteadyPlan {
  readonly host: string
  readonly port: number
  readonly perSecond: number
  /** Looked up `namesPerSecond` times a second; each look-up is one query, never repeated. */
  readonly name: string
  readonly namesPerSecond: number
}

export interface SteadyReport {
  readonly connections: number
  readonly failed: number
  readonly failures: Readonly<Record<string, number>>
  readonly names: number
  readonly namesFailed: number
  readonly nameFailures: Readonly<Record<string, number>>
  readonly durationMs: number
  readonly slowestMs: number
}

const tickMs = 5

export class Steady {
  readonly #plan: SteadyPlan
  readonly #resolver = new Resolver({ timeout: 3_000, tries: 1 })
  readonly #begin = performance.now()
  readonly #open = new Set<Promise<void>>()
  readonly #failures: Record<string, number> = {}
  readonly #nameFailures: Record<string, number> = {}
  readonly #timer: NodeJS.Timeout
  #connections = 0
  #names = 0
  #slowestMs = 0

  constructor(plan: SteadyPlan) {
    this.#plan = plan
    this.#timer = setInterval(() => this.#tick(), tickMs)
  }

  /** What is due by now, also where the last tick came late. */
  #tick(): void {
    const seconds = (performance.now() - this.#begin) / 1_000
    while (this.#connections < seconds * this.#plan.perSecond) {
      this.#connections++
      this.#start(this.#connect())
    }
    while (this.#names < seconds * this.#plan.namesPerSecond) {
      this.#names++
      this.#start(this.#lookUp())
    }
  }

  #start(work: Promise<void>): void {
    this.#open.add(work)
    void work.then(() => this.#open.delete(work))
  }

  async #connect(): Promise<void> {
    const begin = performance.now()
    const failure = await one(this.#plan.host, this.#plan.port)
    this.#slowestMs = Math.max(this.#slowestMs, performance.now() - begin)
    if (failure !== undefined) count(this.#failures, failure)
  }

  async #lookUp(): Promise<void> {
    try {
      await this.#resolver.resolve4(this.#plan.name)
    } catch (error: unknown) {
      count(this.#nameFailures, (error as NodeJS.ErrnoException).code ?? String(error))
    }
  }

  /** Resolves when the last one has ended. */
  async stop(): Promise<SteadyReport> {
    clearInterval(this.#timer)
    await Promise.all(this.#open)
    return {
      connections: this.#connections,
      failed: sum(this.#failures),
      failures: this.#failures,
      names: this.#names,
      namesFailed: sum(this.#nameFailures),
      nameFailures: this.#nameFailures,
      durationMs: Math.round(performance.now() - this.#begin),
      slowestMs: Math.round(this.#slowestMs),
    }
  }
}

function sum(failures: Readonly<Record<string, number>>): number {
  return Object.values(failures).reduce((total, number) => total + number, 0)
}

function count(failures: Record<string, number>, what: string): void {
  failures[what] = (failures[what] ?? 0) + 1
}
