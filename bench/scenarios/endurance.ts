// What stays: memory of a proxy without and with idle connections, and what minutes of short connections leave behind.
import { sleep } from '../../core/base/deadline.ts'
import type { End } from '../peers.ts'
import { mostDescriptors, residentBytes } from '../process-tree.ts'
import type { Sample } from '../results.ts'
import type { Target } from '../target.ts'
import type { Scenario } from './scenario.ts'

const steps = { '1k': 1_000, '10k': 10_000 } as const
/** For listeners, logs and whatever else a process has open. */
const spareDescriptors = 500
/** A proxy may take a while to give back what a start or a rush of connections took. */
const settleMs = { look: 1_000, calm: 6_000, most: 40_000 }
const calmShare = 0.99
const ends = ['client', 'server'] as const
const mebibyte = 1024 * 1024

/** First of all scenarios: what others leave in a heap is not what an idle proxy weighs. */
const memory: Scenario = {
  name: 'memory',
  group: 'memory',
  quick: false,
  uncaptured: false,
  how: 'once',
  leadIn: 0,
  async *run(target) {
    if (target.processes() === undefined) return
    const empty = await settled(target)
    for (const end of ends) yield resident(`rss-idle-${end}`, empty[end])
    const destination = target.destination('echo')
    try {
      for (const [name, wanted] of Object.entries(steps)) {
        const connections = Math.min(wanted, mostConnections(target))
        const { open } = await target.generator.run({ kind: 'hold', ...destination, connections })
        if (open < connections) throw new Error(`only ${open} of ${connections} idle connections are open`)
        const now = await settled(target)
        for (const end of ends) {
          const value = (now[end] - empty[end]) / connections / 1024
          yield resident(`rss-${name}-${end}`, now[end])
          yield { metric: `per-connection-${name}-${end}`, value, unit: 'KiB', better: 'lower' }
        }
      }
    } finally {
      await target.generator.run({ kind: 'hold', ...destination, connections: 0 })
    }
  },
}

/** A proxy with a connection out for each one in needs two descriptors for each: where 20,000 is the limit, 10,000 are too many. */
function mostConnections(target: Target): number {
  const { client, server } = target.processes()!
  const limit = mostDescriptors([...client, ...server])
  return target.sharesConnections ? limit - spareDescriptors : Math.floor((limit - spareDescriptors) / 2)
}

function resident(metric: string, bytes: number): Sample {
  return { metric, value: bytes / mebibyte, unit: 'MiB', better: 'lower' }
}

function weigh(target: Target): Readonly<Record<End, number>> {
  const { client, server } = target.processes()!
  return { client: residentBytes(client), server: residentBytes(server) }
}

/** What it weighs once it does not get lighter any more. */
async function settled(target: Target): Promise<Readonly<Record<End, number>>> {
  const begin = performance.now()
  let least = Number.POSITIVE_INFINITY
  let leastAt = begin
  while (performance.now() - begin < settleMs.most && performance.now() - leastAt < settleMs.calm) {
    await sleep(settleMs.look)
    const { client, server } = weigh(target)
    if (client + server < least * calmShare) leastAt = performance.now()
    least = Math.min(least, client + server)
  }
  return weigh(target)
}

const churnPerSecond = 100

const churn: Scenario = {
  name: 'churn',
  group: 'churn',
  quick: false,
  uncaptured: false,
  how: 'together',
  leadIn: 0,
  async *run(target, { churnMinutes }) {
    const before = target.processes() === undefined ? undefined : weigh(target)
    const plan = { kind: 'churn', rate: churnPerSecond, ms: churnMinutes * 60_000 } as const
    const report = await target.generator.run({ ...plan, ...target.destination('echo') })
    yield { metric: 'connections', value: report.connections, unit: 'connections', better: 'higher' }
    yield { metric: 'failed', value: report.failed, unit: 'connections', better: 'lower' }
    yield { metric: 'p50', value: report.p50Us, unit: 'µs', better: 'lower' }
    yield { metric: 'p99', value: report.p99Us, unit: 'µs', better: 'lower' }
    if (before === undefined) return
    const after = weigh(target)
    for (const end of ends) yield resident(`rss-growth-${end}`, after[end] - before[end])
  },
}

export const memoryScenarios: readonly Scenario[] = [memory]
export const churnScenarios: readonly Scenario[] = [churn]
