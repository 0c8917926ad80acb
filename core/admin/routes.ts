// The routes that every process offers on its admin, health and metrics ports. Each is a plain handler over what `app.ts`
// hands in.
import type { Logger } from '../base/log.ts'
import { exposition, expositionType, type MetricSnapshot } from '../base/metrics.ts'
import type { Readiness } from '../base/readiness.ts'
import type { HttpHandler, HttpRoutes } from './server.ts'

/** 200 when ready; 503 with the pending tasks, one per line, until then. `draining` makes it 503 again at the end. */
export function readyRoute(readiness: Readiness, draining?: AbortSignal): HttpHandler {
  return () => {
    if (draining?.aborted) return { status: 503, body: 'draining\n' }
    if (readiness.ready) return { status: 200, body: 'ready\n' }
    return { status: 503, body: `${readiness.pending.map((name) => `pending: ${name}`).join('\n')}\n` }
  }
}

/** What an orchestrator asks. */
export function healthRoutes(facts: { readonly readiness: Readiness; readonly draining: AbortSignal }): HttpRoutes {
  return { '/healthz/ready': readyRoute(facts.readiness, facts.draining), '/healthz/live': liveRoute() }
}

/** 200 as long as the event loop turns. */
export function liveRoute(): HttpHandler {
  return () => ({ status: 200, body: 'live\n' })
}

/** Prometheus text format of the sum of the snapshots. */
export function metricsRoute(snapshots: () => Promise<readonly MetricSnapshot[]>): HttpHandler {
  return async () => ({ status: 200, type: expositionType, body: await exposition(snapshots) })
}

/** JSON of whatever `dump` returns. Private keys and tokens never belong into it. */
export function dumpRoute(dump: () => unknown): HttpHandler {
  return async () => ({
    status: 200,
    type: 'application/json',
    body: `${JSON.stringify(await dump(), mapsAsObjects, 2)}\n`,
  })
}

function mapsAsObjects(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Set) return [...value]
  return typeof value === 'bigint' ? value.toString() : value
}

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** GET tells the level, POST with `?level=debug` sets it. */
export function logLevelRoute(log: Logger, apply?: (level: string) => void): HttpHandler {
  return (request, url) => {
    if (request.method !== 'POST') return { status: 200, body: `${log.level}\n` }
    const level = url.searchParams.get('level') ?? ''
    if (!levels.includes(level)) return { status: 400, body: `level must be one of ${levels.join(', ')}\n` }
    log.level = level
    apply?.(level)
    return { status: 200, body: `${level}\n` }
  }
}
