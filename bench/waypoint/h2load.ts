// h2load as a load generator for HTTP/2: its command line, and what its report says. Pure; runs happen in scenarios.
import { MeshError } from '../../core/base/errors.ts'
import type { Destination } from '../load/plan.ts'

export interface H2loadPlan extends Destination {
  readonly connections: number
  /** Streams at once on each connection. */
  readonly streams: number
  readonly seconds: number
  readonly path: string
  /** A file with the body of a request; GET without. */
  readonly body?: string
  readonly headers?: readonly string[]
  /** One line for each request goes here: start, status, microseconds. */
  readonly log: string
}

export interface H2loadReport {
  readonly requests: number
  readonly seconds: number
  readonly failed: number
}

export function h2loadCommand(plan: H2loadPlan): readonly string[] {
  return [
    'h2load',
    ...['-t', '1', '-c', String(plan.connections), '-m', String(plan.streams), '-D', String(plan.seconds)],
    ...(plan.body === undefined ? [] : ['-d', plan.body]),
    ...(plan.headers ?? []).flatMap((header) => ['-H', header]),
    ...['--log-file', plan.log],
    `http://${plan.host}:${plan.port}${plan.path}`,
  ]
}

/** Throws LAB_FAILED where there is no report, or one of failures. */
export function parseH2load(output: string): H2loadReport {
  const finished = /^finished in ([\d.]+)(ms|s), /m.exec(output)
  const requests =
    /^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/m.exec(
      output,
    )
  const codes = /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/m.exec(output)
  if (finished === null || requests === null || codes === null) {
    throw new MeshError('LAB_FAILED', `h2load gave no report: ${output.trim().slice(0, 300)}`)
  }
  const seconds = Number(finished[1]) / (finished[2] === 'ms' ? 1_000 : 1)
  const done = Number(requests[2])
  const wrong = Number(codes[3]) + Number(codes[4]) + Number(codes[2])
  const failed = Number(requests[4]) + wrong
  if (done === 0 || failed > 0) {
    throw new MeshError('LAB_FAILED', `h2load had ${done} answers, ${requests[4]} errors, ${wrong} wrong answers`)
  }
  return { requests: done, seconds, failed }
}

/** Percentiles of a log of h2load, microseconds. */
export function percentilesOf(log: string): {
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
} {
  const sorted = Float64Array.from(
    log
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => Number(line.split('\t')[2])),
  ).toSorted()
  if (sorted.length === 0) throw new MeshError('LAB_FAILED', 'h2load logged no request')
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
  return { p50Us: at(0.5), p99Us: at(0.99), p999Us: at(0.999) }
}
