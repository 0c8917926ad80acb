// What the waypoint shows on its admin, metrics and health ports. Nothing here carries a private key. Wired by app.ts.
import { dumpRoute, healthRoutes, logLevelRoute, metricsRoute } from '../core/admin/routes.ts'
import type { HttpRoutes } from '../core/admin/server.ts'
import type { Logger } from '../core/base/log.ts'
import { MetricSet, type MetricSnapshot } from '../core/base/metrics.ts'
import type { Readiness } from '../core/base/readiness.ts'
import type { FeedState } from '../core/feed/client.ts'
import { certificateView, type IssuedCertificate } from '../core/identity/certificate.ts'
import type { DataPlane } from './data-plane.ts'

export interface AdminDeps {
  readonly build: string
  /** Key of the waypoint's Service. */
  readonly waypoint: () => string
  readonly plane: DataPlane
  readonly certificate: () => IssuedCertificate | undefined
  readonly feed: () => FeedState['kind']
  readonly readiness: Readiness
  readonly draining: AbortSignal
  readonly log: Logger
}

/** Everything that an operator may ask on loopback. */
export function adminRoutes(deps: AdminDeps): HttpRoutes {
  const { plane, log } = deps
  const logging = logLevelRoute(log, (level) => plane.setLogLevel(level))
  return {
    '/config_dump': dumpRoute(() => ({
      build: deps.build,
      pid: process.pid,
      waypoint: deps.waypoint(),
      feed: deps.feed(),
      certificates: views(deps),
      snapshot: plane.snapshot.toDelta(),
    })),
    '/certificates': dumpRoute(() => views(deps)),
    '/clusters': dumpRoute(() => plane.clusters()),
    '/connections': dumpRoute(() => plane.connections()),
    '/logging': logging,
    'POST /logging': logging,
    ...healthRoutes(deps),
    ...metricsRoutes(deps),
  }
}

export function metricsRoutes(deps: AdminDeps): HttpRoutes {
  const metrics = metricsRoute(async () => [deps.plane.metrics(), ownMetrics(deps)])
  return { '/metrics': metrics, '/stats/prometheus': metrics }
}

/** Made anew for each scrape. */
function ownMetrics({ build, plane, feed, certificate }: AdminDeps): MetricSnapshot {
  const metrics = new MetricSet()
  const row = (name: string, help: string, value: number): void => metrics.gauge(name, help, []).labels([]).set(value)
  metrics.gauge('istio_build', 'Component build info', ['component', 'tag']).labels(['culvert-waypoint', build]).set(1)
  row('culvert_feed_connected', 'Whether the control plane is connected', feed() === 'connected' ? 1 : 0)
  row('culvert_model_version', 'Version of the model in force', plane.snapshot.version)
  const current = certificate()
  const expiry = metrics.gauge('culvert_certificate_expiry_seconds', 'Unix time at which a certificate ends', [
    'identity',
  ])
  if (current !== undefined) expiry.labels([current.identity]).set(Math.floor(current.notAfter / 1000))
  return metrics.snapshot()
}

function views({ certificate }: AdminDeps): readonly object[] {
  const current = certificate()
  return current === undefined ? [] : [certificateView(current)]
}
