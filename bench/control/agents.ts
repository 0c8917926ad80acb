// A process with many simulated agents. fleet.ts starts it and sends it one order at a time.
import { type Credentials, now, SimulatedAgent } from './agent.ts'
import { type MeshSize, reportsOf } from './mesh.ts'

export interface Control {
  readonly host: string
  readonly port: number
}

export type Order =
  | {
      readonly do: 'take'
      readonly size: MeshSize
      readonly agents: readonly (Credentials & { readonly index: number })[]
    }
  /** Connects all, and answers when each of them has a full state, or at once where they are deaf. */
  | { readonly do: 'connect'; readonly control: Control; readonly deaf: boolean }
  | { readonly do: 'report' }
  /** One workload of a host gets another weight. */
  | { readonly do: 'change'; readonly host: number; readonly workload: number; readonly weight: number }
  | { readonly do: 'arrivals'; readonly weights: readonly number[] }
  | { readonly do: 'versions' }
  | { readonly do: 'disconnect' }
  | { readonly do: 'usage' }

export interface Answers {
  readonly take: null
  readonly connect: { readonly syncedAt: readonly number[]; readonly resources: number }
  readonly report: null
  readonly change: number
  /** Of each weight, when it reached each agent; 0 where it has not. */
  readonly arrivals: readonly (readonly number[])[]
  readonly versions: readonly number[]
  readonly disconnect: null
  readonly usage: { readonly cpuMicroseconds: number; readonly bytes: number; readonly deltas: number }
}

const agents = new Map<number, SimulatedAgent>()
const weights = new Map<number, number>()
let size: MeshSize = { hosts: 1, workloads: 0, services: 1 }
const syncMs = 120_000
/** Reports that are under way at once. */
const reporting = 8

async function obey(order: Order): Promise<Answers[Order['do']]> {
  const all = [...agents.values()]
  switch (order.do) {
    case 'take':
      size = order.size
      for (const { index, ...credentials } of order.agents) agents.set(index, new SimulatedAgent(credentials))
      return null
    case 'connect':
      return connect(all, order.control, order.deaf)
    case 'report':
      return reportAll()
    case 'change': {
      weights.set(order.workload, order.weight)
      const sentAt = now()
      await agents.get(order.host)?.report(reportsOf(order.host, size, weights))
      return sentAt
    }
    case 'arrivals':
      return order.weights.map((weight) => all.map(({ arrivals }) => arrivals.get(weight) ?? 0))
    case 'versions':
      return all.map(({ version }) => version)
    case 'disconnect':
      for (const agent of all) agent.disconnect()
      return null
    case 'usage': {
      const { user, system } = process.cpuUsage()
      const sum = (of: (agent: SimulatedAgent) => number): number => all.reduce((total, agent) => total + of(agent), 0)
      return { cpuMicroseconds: user + system, bytes: sum(({ bytes }) => bytes), deltas: sum(({ deltas }) => deltas) }
    }
  }
}

async function connect(all: readonly SimulatedAgent[], control: Control, deaf: boolean): Promise<Answers['connect']> {
  await Promise.all(
    all.map((agent) => {
      agent.deaf = deaf
      return agent.connect(control)
    }),
  )
  const end = now() + syncMs
  while (!deaf && all.some(({ syncedAt }) => syncedAt === 0)) {
    if (now() > end) throw new Error('not every agent got a full state in time')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return {
    syncedAt: all.map(({ syncedAt }) => syncedAt),
    resources: Math.min(...all.map(({ resources }) => resources)),
  }
}

async function reportAll(): Promise<null> {
  const waiting = [...agents]
  const work = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      await next[1].report(reportsOf(next[0], size, weights))
    }
  }
  await Promise.all(Array.from({ length: reporting }, work))
  return null
}

process.on('message', ({ id, order }: { readonly id: number; readonly order: Order }) => {
  obey(order).then(
    (answer) => process.send?.({ id, answer }),
    (error: unknown) => process.send?.({ id, error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
