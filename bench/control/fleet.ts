// The processes with the simulated agents, as main.ts drives them: every order goes to all of them, or to the one with a host.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Credentials } from './agent.ts'
import type { Answers, Control, Order } from './agents.ts'
import type { MeshSize } from './mesh.ts'

type Answered = { readonly id: number } & ({ readonly answer: Answers[Order['do']] } | { readonly error: string })

let lastId = 0

export class Fleet {
  readonly #processes: readonly ChildProcess[]

  private constructor(processes: readonly ChildProcess[]) {
    this.#processes = processes
  }

  /** Hosts are dealt out in turn. */
  static async start(count: number, size: MeshSize, credentials: readonly Credentials[]): Promise<Fleet> {
    const file = join(import.meta.dirname, 'agents.ts')
    const execArgv = ['--disable-warning=ExperimentalWarning']
    const processes = Array.from({ length: count }, () => fork(file, { execArgv }).setMaxListeners(0))
    const fleet = new Fleet(processes)
    const indexed = credentials.map((entry, index) => ({ ...entry, index }))
    await Promise.all(
      fleet.#processes.map((process, own) => {
        const agents = indexed.filter(({ index }) => index % count === own)
        return ask(process, { do: 'take', size, agents })
      }),
    )
    return fleet
  }

  connect(control: Control, deaf: boolean): Promise<readonly Answers['connect'][]> {
    return this.#all({ do: 'connect', control, deaf })
  }

  async report(): Promise<void> {
    await this.#all({ do: 'report' })
  }

  async disconnect(): Promise<void> {
    await this.#all({ do: 'disconnect' })
  }

  /** When the report left. */
  change(host: number, workload: number, weight: number): Promise<number> {
    const process = this.#processes[host % this.#processes.length]!
    return ask(process, { do: 'change', host, workload, weight }) as Promise<number>
  }

  /** Of each weight, when it reached each agent; 0 where it has not. */
  async arrivals(weights: readonly number[]): Promise<readonly (readonly number[])[]> {
    const answers = await this.#all<'arrivals'>({ do: 'arrivals', weights })
    return weights.map((_, index) => answers.flatMap((answer) => answer[index] ?? []))
  }

  async versions(): Promise<readonly number[]> {
    return (await this.#all<'versions'>({ do: 'versions' })).flat()
  }

  async usage(): Promise<Answers['usage']> {
    const answers = await this.#all<'usage'>({ do: 'usage' })
    const sum = (name: keyof Answers['usage']): number => answers.reduce((total, answer) => total + answer[name], 0)
    return { cpuMicroseconds: sum('cpuMicroseconds'), bytes: sum('bytes'), deltas: sum('deltas') }
  }

  async close(): Promise<void> {
    for (const process of this.#processes) {
      if (process.exitCode !== null || !process.connected) continue
      process.disconnect()
      await once(process, 'exit')
    }
  }

  #all<Name extends Order['do']>(order: Extract<Order, { do: Name }>): Promise<readonly Answers[Name][]> {
    return Promise.all(this.#processes.map((process) => ask(process, order) as Promise<Answers[Name]>))
  }
}

function ask(process: ChildProcess, order: Order): Promise<Answers[Order['do']]> {
  const { promise, resolve, reject } = Promise.withResolvers<Answers[Order['do']]>()
  const id = ++lastId
  const settle = (finish: () => void): void => {
    process.off('exit', ended).off('message', hear)
    finish()
  }
  const ended = (): void => settle(() => reject(new Error('a process of simulated agents ended')))
  const hear = (answered: Answered): void => {
    if (answered.id !== id) return
    settle(() => ('error' in answered ? reject(new Error(answered.error)) : resolve(answered.answer)))
  }
  process.on('exit', ended).on('message', hear)
  process.send({ id, order })
  return promise
}
