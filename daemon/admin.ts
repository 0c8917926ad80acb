// What the daemon shows on its admin, metrics and health ports. Nothing here carries a private key. Wired by app.ts.

import { dumpRoute, healthRoutes, logLevelRoute, metricsRoute } from '../core/admin/routes.ts'
import type { HttpRoutes } from '../core/admin/server.ts'
import type { Logger } from '../core/base/log.ts'
import { MetricSet, type MetricSnapshot } from '../core/base/metrics.ts'
import type { Readiness } from '../core/base/readiness.ts'
import { certificateView } from '../core/identity/certificate.ts'
import type { AgentClient } from './agent-client.ts'
import type { HandoffState } from './handoff-state.ts'
import type { Workers } from './workers.ts'

export interface AdminDeps {
  readonly build: string
  readonly state: HandoffState
  readonly workers: Pick<Workers, 'some' | 'metrics'>
  readonly agent: Pick<AgentClient, 'connected'>
  readonly readiness: Readiness
  readonly draining: AbortSignal
  readonly log: Logger
}

/** Everything that an operator may ask on loopback. */
export function adminRoutes(deps: AdminDeps): HttpRoutes {
  const { state, workers, log } = deps
  const logging = logLevelRoute(log, (level) => void workers.some('log-level', { level }))
  return {
    '/config_dump': dumpRoute(async () => ({
      build: deps.build,
      pid: process.pid,
      agentConnected: deps.agent.connected,
      workloads: state.workloads,
      certificates: state.certificates.map(certificateView),
      snapshot: state.snapshot.toDelta(),
    })),
    '/workloads': dumpRoute(() => state.workloads),
    '/certificates': dumpRoute(() => state.certificates.map(certificateView)),
    '/connections': dumpRoute(async () => (await workers.some('connections', {})).flat()),
    '/logging': logging,
    'POST /logging': logging,
    ...healthRoutes(deps),
    ...metricsRoutes(deps),
  }
}

export function metricsRoutes(deps: AdminDeps): HttpRoutes {
  const metrics = metricsRoute(async () => [...(await deps.workers.metrics()), ownMetrics(deps)])
  return { '/metrics': metrics, '/stats/prometheus': metrics }
}

/** What the main thread knows: made anew for each scrape. */
function ownMetrics({ build, state, agent }: AdminDeps): MetricSnapshot {
  const metrics = new MetricSet()
  const row = (name: string, help: string): ReturnType<MetricSet['gauge']> => metrics.gauge(name, help, [])
  metrics.gauge('istio_build', 'Component build info', ['component', 'tag']).labels(['culvert-daemon', build]).set(1)
  row('culvert_agent_connected', 'Whether the agent is connected')
    .labels([])
    .set(agent.connected ? 1 : 0)
  row('culvert_local_workloads', 'Local workloads that are served').labels([]).set(state.workloads.length)
  row('culvert_model_version', 'Version of the model in force').labels([]).set(state.snapshot.version)
  const expiry = metrics.gauge('culvert_certificate_expiry_seconds', 'Unix time at which a certificate ends', [
    'identity',
  ])
  for (const { identity, notAfter } of state.certificates) expiry.labels([identity]).set(Math.floor(notAfter / 1000))
  return metrics.snapshot()
}
