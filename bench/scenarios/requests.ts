// Small requests over kept connections (closed loop and at a fixed rate), new connections, and what they cost in CPU time.
import { cpuMicroseconds } from '../process-tree.ts'
import type { Sample } from '../results.ts'
import type { Target } from '../target.ts'
import { requestsPerSecond, type WrkPlan, type WrkReport } from '../wrk.ts'
import type { RunSettings, Scenario } from './scenario.ts'

const openLoopConnections = 32

function requests(connections: number): Scenario {
  return {
    name: `requests-${connections}`,
    group: 'requests',
    quick: connections > 1,
    uncaptured: connections === 32,
    how: 'rounds',
    leadIn: 1,
    async *run(target, settings) {
      const { report, samples } = await withCpu(target, { connections, seconds: wholeSeconds(settings) })
      yield { metric: 'rate', value: requestsPerSecond(report), unit: 'requests/s', better: 'higher' }
      yield* latencies(report)
      yield* samples
    },
  }
}

const connections: Scenario = {
  name: 'connections',
  group: 'connections',
  quick: true,
  uncaptured: true,
  how: 'rounds',
  leadIn: 2,
  async *run(target, settings) {
    const plan = { connections: 64, seconds: wholeSeconds(settings), fresh: true }
    const { report, samples } = await withCpu(target, plan)
    yield { metric: 'rate', value: requestsPerSecond(report), unit: 'connections/s', better: 'higher' }
    yield* samples
  },
}

/** wrk knows no others. */
function wholeSeconds({ seconds }: RunSettings): number {
  return Math.max(1, Math.round(seconds))
}

const openLoop: Scenario = {
  name: 'open-loop',
  group: 'open-loop',
  quick: false,
  uncaptured: false,
  how: 'rounds',
  leadIn: 1,
  async *run(target, settings) {
    const report = await target.generator.run(openLoopPlan(target, settings))
    yield* latencies(report)
    yield { metric: 'failed', value: report.failed, unit: 'requests', better: 'lower' }
    yield { metric: 'generator-late-p99', value: report.lateP99Us, unit: 'µs', better: 'lower' }
  },
}

export function openLoopPlan(target: Target, settings: RunSettings) {
  return {
    kind: 'open-loop',
    ...target.destination('http'),
    connections: openLoopConnections,
    rate: settings.rate,
    warmMs: 300,
    ms: settings.seconds * 1_000,
  } as const
}

type Latencies = Pick<WrkReport, 'p50Us' | 'p99Us' | 'p999Us'>

export function latencies({ p50Us, p99Us, p999Us }: Latencies, suffix = ''): readonly Sample[] {
  const sample = (name: string, value: number): Sample => {
    return { metric: `${name}${suffix}`, value, unit: 'µs', better: 'lower' }
  }
  return [sample('p50', p50Us), sample('p99', p99Us), sample('p99.9', p999Us)]
}

/** CPU time of both proxies per request. The kernel counts it in hundredths of a second, so runs of a second or more. */
async function withCpu(
  target: Target,
  plan: Omit<WrkPlan, 'host' | 'port'>,
): Promise<{ readonly report: WrkReport; readonly samples: readonly Sample[] }> {
  const processes = target.processes()
  if (processes === undefined) return { report: await target.wrk(plan), samples: [] }
  const pids = [...processes.client, ...processes.server]
  const before = cpuMicroseconds(pids)
  const report = await target.wrk(plan)
  const value = (cpuMicroseconds(pids) - before) / report.requests
  return { report, samples: [{ metric: 'cpu', value, unit: 'µs/request', better: 'lower' }] }
}

export const requestScenarios: readonly Scenario[] = [requests(1), requests(32), requests(128), openLoop, connections]
