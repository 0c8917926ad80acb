// Names that people and dashboards use for a workload, derived from what it is and its labels. Pure; used by telemetry,
// route and the daemon's baggage.
import type { Workload } from './types.ts'

function firstLabel(labels: Readonly<Record<string, string>>, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined
    if (value !== undefined && value !== '') return value
  }
  return undefined
}

const nameLabels = ['service.istio.io/canonical-name', 'app.kubernetes.io/name', 'app']
const revisionLabels = ['service.istio.io/canonical-revision', 'app.kubernetes.io/version', 'version']

/** Istio's canonical service: the explicit label, then the usual application labels, then the workload's name. */
export function canonicalName(workload: Workload): string {
  return firstLabel(workload.labels, nameLabels) ?? workload.name
}

/** Istio's canonical revision, `latest` where nothing says which. */
export function canonicalRevision(workload: Workload): string {
  return firstLabel(workload.labels, revisionLabels) ?? 'latest'
}

/** The plain application label; undefined where there is none. */
export function applicationOf(workload: Workload): string | undefined {
  return firstLabel(workload.labels, ['app', 'app.kubernetes.io/name'])
}

/** The plain version label; undefined where there is none. */
export function versionOf(workload: Workload): string | undefined {
  return firstLabel(workload.labels, ['version', 'app.kubernetes.io/version'])
}

/** The parts of a SPIFFE identity that policies look at; an identity of core/identity fits. */
export interface PeerIdentity {
  readonly trustDomain: string
  readonly namespace: string
  readonly serviceAccount: string
}

/** An identity as policies write it: without the scheme. */
export function principalText(identity: PeerIdentity): string {
  return `${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`
}

/** SPIFFE URI that a workload presents. */
export function workloadIdentity(workload: Workload): string {
  return `spiffe://${principalText(workload)}`
}
