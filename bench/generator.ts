// A load generator process (load/main.ts) as the bench sees it: one question at a time, each with a deadline.
import type { ChildProcess } from 'node:child_process'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { abortable, deadline } from '../core/base/deadline.ts'
import { MeshError } from '../core/base/errors.ts'
import type { LoadAnswer, LoadPlan, Reports } from './load/plan.ts'

const script = fileURLToPath(new URL('./load/main.ts', import.meta.url))
export const generatorCommand: readonly string[] = [process.execPath, '--disable-warning=ExperimentalWarning', script]
const startMs = 20_000
/** What a plan may take beyond its own time. */
const graceMs = 60_000

/** Lines of a child's standard output, read in order. Rejects once the child has ended. */
export class Lines {
  readonly #child: ChildProcess
  readonly #iterator: AsyncIterator<string>
  readonly #reader: Interface

  constructor(child: ChildProcess) {
    this.#child = child
    this.#reader = createInterface({ input: child.stdout! })
    this.#iterator = this.#reader[Symbol.asyncIterator]()
  }

  async next(timeoutMs: number): Promise<unknown> {
    const late = (): MeshError => new MeshError('LAB_FAILED', `no answer from ${this.#name} in ${timeoutMs} ms`)
    const { done, value } = await abortable(this.#iterator.next(), deadline(timeoutMs), late)
    if (done === true) throw new MeshError('LAB_FAILED', `${this.#name} ended`)
    return JSON.parse(value)
  }

  get #name(): string {
    return this.#child.spawnargs.at(-1) ?? 'the process'
  }
}

/** Runs `generatorCommand` with pipes. */
export type StartChild = () => ChildProcess

export class Generator {
  readonly #start: StartChild
  #running: Promise<{ readonly child: ChildProcess; readonly lines: Lines }> | undefined

  constructor(start: StartChild) {
    this.#start = start
  }

  /** Resolves once the process takes plans. */
  async ready(): Promise<void> {
    this.#running ??= started(this.#start())
    await this.#running
  }

  /** Throws LAB_FAILED where the plan failed or its answer does not come; then the next plan gets a new process. */
  async run<P extends LoadPlan>(plan: P): Promise<Reports[P['kind']]> {
    await this.ready()
    const { child, lines } = await this.#running!
    child.stdin!.write(`${JSON.stringify(plan)}\n`)
    const ownMs = ('ms' in plan ? plan.ms : 0) + ('warmMs' in plan ? plan.warmMs : 0)
    let answer: LoadAnswer<P['kind']>
    try {
      answer = (await lines.next(ownMs + graceMs)) as LoadAnswer<P['kind']>
    } catch (error: unknown) {
      child.kill('SIGKILL')
      this.#running = undefined
      throw error
    }
    if ('error' in answer) throw new MeshError('LAB_FAILED', answer.error)
    return answer.report
  }
}

async function started(child: ChildProcess): Promise<{ readonly child: ChildProcess; readonly lines: Lines }> {
  const lines = new Lines(child)
  child.stdin!.on('error', () => {}) // the next answer, which does not come, says it
  await lines.next(startMs)
  return { child, lines }
}
