// Mixed load with renewed certificates, and what the daemons say and weigh meanwhile; for mixed.test.ts and the soak of that name.
import { setTimeout as sleep } from 'node:timers/promises'
import { waitUntil } from '../../lab/lab.ts'
import type { MixedPlan, MixedReport } from './traffic/mixed.ts'
import { type DaemonUnit, daemons, type TrafficLab, type Weight } from './traffic-lab.ts'

export interface MixedSample {
  readonly atMs: number
  readonly weights: Readonly<Record<DaemonUnit, Weight>>
}

export interface MixedFigures {
  readonly report: MixedReport
  /** What each daemon counted of the client's connections. */
  readonly counted: Readonly<Record<'h1' | 'h2', { readonly bytesUp: number; readonly bytesDown: number }>>
  readonly samples: readonly MixedSample[]
  readonly certificates: number
  /** Connections that the daemons still have. */
  readonly left: Readonly<Record<'h1' | 'h2', number>>
}

export async function mixedLoad(
  lab: TrafficLab,
  plan: Omit<MixedPlan, 'host'>,
  everyMs: number,
): Promise<MixedFigures> {
  const samples: MixedSample[] = []
  const serials = new Set<string>()
  const begin = performance.now()
  const state = { over: false }
  const running = lab.run<MixedReport>('mixed', { host: lab.host, ...plan }, plan.durationMs + 90_000).finally(() => {
    state.over = true
  })
  const watching = (async () => {
    while (!state.over) {
      samples.push({ atMs: Math.round(performance.now() - begin), weights: lab.weights() })
      for (const serial of (await lab.mesh.serials('h1')).values()) serials.add(serial)
      await sleep(everyMs)
    }
  })()
  const [report] = await Promise.all([running, watching])
  const left = async () => ({ h1: await lab.connections('h1'), h2: await lab.connections('h2') })
  await waitUntil('the last connections end', async () => Object.values(await left()).every((n) => n === 0), 15_000)
  return {
    report,
    counted: { h1: await bytesOf(lab, 'h1', 'source'), h2: await bytesOf(lab, 'h2', 'destination') },
    samples,
    certificates: serials.size,
    left: await left(),
  }
}

async function bytesOf(lab: TrafficLab, host: 'h1' | 'h2', reporter: string) {
  const text = await lab.mesh.metrics(host)
  const sum = (name: string): number => {
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && line.includes(`reporter="${reporter}"`))
    return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  }
  return { bytesUp: sum('istio_tcp_received_bytes_total'), bytesDown: sum('istio_tcp_sent_bytes_total') }
}

export interface Slope {
  /** RSS over time, of the second half: code and heap have found their size by then. */
  readonly kibPerMinute: number
  /** Standard error of the slope. */
  readonly error: number
}

/** Least squares over the second half of the samples. */
export function rssSlope(samples: readonly MixedSample[], unit: DaemonUnit): Slope {
  const points = samples.slice(Math.floor(samples.length / 2)).map(({ atMs, weights }) => ({
    x: atMs / 60_000,
    y: weights[unit].rssKib,
  }))
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const x = mean(points.map((point) => point.x))
  const y = mean(points.map((point) => point.y))
  const spread = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0)
  const slope = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) / spread
  const residual = points.reduce((sum, point) => sum + (point.y - y - slope * (point.x - x)) ** 2, 0)
  return { kibPerMinute: Math.round(slope), error: Math.round(Math.sqrt(residual / (points.length - 2) / spread)) }
}

/** What is wrong with a run; empty where nothing is. */
export function mixedProblems({ report, counted, left }: MixedFigures): readonly string[] {
  const bytes = { bytesUp: report.bytesUp, bytesDown: report.bytesDown }
  return [
    ...(report.failed === 0 ? [] : [`${report.failed} failed: ${JSON.stringify(report.failures)}`]),
    ...(report.messages > 0 && report.transfers > 0 ? [] : ['there was no load']),
    ...(['h1', 'h2'] as const).flatMap((host) => [
      ...(counted[host].bytesUp === bytes.bytesUp && counted[host].bytesDown === bytes.bytesDown
        ? []
        : [`${host} counted ${JSON.stringify(counted[host])}, the client ${JSON.stringify(bytes)}`]),
      ...(left[host] === 0 ? [] : [`${host} still has ${left[host]} connections`]),
    ]),
  ]
}

/** Memory that grows beyond what noise explains, and descriptors that are kept. */
export function growthProblems(samples: readonly MixedSample[]): readonly string[] {
  const noiseKibPerMinute = 256
  const middle = samples[Math.floor(samples.length / 2)]
  const last = samples.at(-1)
  return daemons.flatMap((unit) => {
    const { kibPerMinute, error } = rssSlope(samples, unit)
    const kept = (last?.weights[unit].descriptors ?? 0) - (middle?.weights[unit].descriptors ?? 0)
    return [
      ...(kibPerMinute - 2 * error > noiseKibPerMinute ? [`${unit} grows by ${kibPerMinute} KiB per minute`] : []),
      ...(kept > 64 ? [`${unit} has ${kept} descriptors more than half way`] : []),
    ]
  })
}
