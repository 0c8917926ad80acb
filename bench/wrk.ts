// wrk as a load generator: its command line, and what its report (load/report.lua) says. Pure; runs happen in scenarios.
import { fileURLToPath } from 'node:url'
import { MeshError } from '../core/base/errors.ts'
import type { Destination } from './load/plan.ts'

export interface WrkPlan extends Destination {
  readonly connections: number
  /** Whole ones: wrk knows no others. */
  readonly seconds: number
  /** A new connection for each request. */
  readonly fresh?: boolean
  /** `/` where absent. */
  readonly path?: string
}

export interface WrkReport {
  readonly requests: number
  readonly durationUs: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly socketErrors: number
  readonly statusErrors: number
  readonly timeouts: number
}

const script = fileURLToPath(new URL('./load/report.lua', import.meta.url))

export function wrkCommand(plan: WrkPlan): readonly string[] {
  return [
    'wrk',
    ...['-t', '1', '-c', String(plan.connections), '-d', `${plan.seconds}s`, '--timeout', '10s', '-s', script],
    ...(plan.fresh === true ? ['-H', 'Connection: close'] : []),
    `http://${plan.host}:${plan.port}${plan.path ?? '/'}`,
  ]
}

const fields = [
  ...['requests', 'durationUs', 'p50Us', 'p99Us', 'p999Us'],
  ...['socketErrors', 'statusErrors', 'timeouts'],
] as const

/** Throws LAB_FAILED where there is no report, or one of failures: a rate of refusals is no rate. */
export function parseWrk(output: string): WrkReport {
  const line = /^report: (\{.*\})$/m.exec(output)?.[1]
  if (line === undefined) throw new MeshError('LAB_FAILED', `wrk gave no report: ${output.trim().slice(0, 200)}`)
  const report = JSON.parse(line) as WrkReport
  const missing = fields.filter((field) => typeof report[field as keyof WrkReport] !== 'number')
  if (missing.length > 0) throw new MeshError('LAB_FAILED', `wrk's report lacks ${missing.join(', ')}`)
  const { requests, socketErrors, statusErrors, timeouts } = report
  if (requests === 0 || socketErrors + statusErrors + timeouts > 0) {
    throw new MeshError(
      'LAB_FAILED',
      `wrk had ${requests} answers, ${socketErrors} socket errors, ${statusErrors} wrong answers, ${timeouts} timeouts`,
    )
  }
  return report
}

export function requestsPerSecond(report: WrkReport): number {
  return (report.requests * 1e6) / report.durationUs
}
