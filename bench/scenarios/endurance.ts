// What stays: memory of a proxy without and with idle connections, and what minutes of short connections leave behind.
import { sleep } from '../../core/base/deadline.ts'
import type { End } from '../peers.ts'
import { residentBytes } from '../process-tree.ts'
import type { Sample } from '../results.ts'
import type { Target } from '../target.ts'
import type { Scenario } from './scenario.ts'

const steps = [1_000, 10_000] as const
const settleMs = 2_000
const ends = ['client', 'server'] as const
const mebibyte = 1024 * 1024

/** First of all scenarios: what others leave in a heap is not what an idle proxy weighs. */
const memory: Scenario = {
  name: 'memory',
  group: 'memory',
  quick: false,
  uncaptured: false,
  how: 'once',
  run: async (target) => {
    if (target.processes() === undefined) return []
    const empty = weigh(target)
    const samples = ends.map((end) => resident(`rss-0-${end}`, empty[end]))
    try {
      for (const count of steps) {
        const plan = { kind: 'hold', ...target.destination('echo'), connections: count } as const
        const { open } = await target.generator.run(plan)
        if (open < count) throw new Error(`only ${open} of ${count} idle connections are open`)
        await sleep(settleMs)
        const now = weigh(target)
        for (const end of ends) {
          const value = (now[end] - empty[end]) / count / 1024
          samples.push(resident(`rss-${count}-${end}`, now[end]))
          samples.push({ metric: `per-connection-${count}-${end}`, value, unit: 'KiB', better: 'lower' })
        }
      }
    } finally {
      await target.generator.run({ kind: 'hold', ...target.destination('echo'), connections: 0 })
    }
    return samples
  },
}

function resident(metric: string, bytes: number): Sample {
  return { metric, value: bytes / mebibyte, unit: 'MiB', better: 'lower' }
}

function weigh(target: Target): Readonly<Record<End, number>> {
  const { client, server } = target.processes()!
  return { client: residentBytes(client), server: residentBytes(server) }
}

const churnPerSecond = 100

const churn: Scenario = {
  name: 'churn',
  group: 'churn',
  quick: false,
  uncaptured: false,
  how: 'together',
  run: async (target, { churnMinutes }) => {
    if (churnMinutes === 0) return []
    const before = target.processes() === undefined ? undefined : weigh(target)
    const ms = churnMinutes * 60_000
    const plan = { kind: 'churn', ...target.destination('echo'), rate: churnPerSecond, ms } as const
    const report = await target.generator.run(plan)
    const samples: Sample[] = [
      { metric: 'connections', value: report.connections, unit: 'connections', better: 'higher' },
      { metric: 'failed', value: report.failed, unit: 'connections', better: 'lower' },
      { metric: 'p50', value: report.p50Us, unit: 'µs', better: 'lower' },
      { metric: 'p99', value: report.p99Us, unit: 'µs', better: 'lower' },
    ]
    if (before === undefined) return samples
    const after = weigh(target)
    const growth = ends.map((end) => resident(`rss-growth-${end}`, after[end] - before[end]))
    return [...samples, ...growth]
  },
}

export const memoryScenarios: readonly Scenario[] = [memory]
export const churnScenarios: readonly Scenario[] = [churn]
