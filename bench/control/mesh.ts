// The mesh that the simulated hosts are part of: names, addresses, reports, services. Pure, so that every process knows it alike.
import type { WorkloadReport } from '../../core/feed/messages.ts'
import type { MeshObject } from '../../core/model/resource.ts'

export interface MeshSize {
  readonly hosts: number
  readonly workloads: number
  readonly services: number
}

const namespaces = 20
/** Weights from here on mark changes that are measured. */
export const firstMark = 1000

export function namespaceNames(): readonly string[] {
  return Array.from({ length: namespaces }, (_, index) => `team-${index}`)
}

export function hostName(index: number): string {
  return `host-${index}`
}

/** The namespaces, a service for every group of workloads, a policy for every fifth of them, STRICT everywhere. */
export function resourcesOf({ services }: MeshSize): readonly MeshObject[] {
  const indexes = Array.from({ length: services }, (_, index) => index)
  return [
    ...namespaceNames().map((name) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'culvert.dev/dataplane-mode': 'ambient' } },
    })),
    {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'strict', namespace: 'culvert-system' },
      spec: { mtls: { mode: 'STRICT' } },
    },
    ...indexes.map(serviceObject),
    ...indexes.filter((index) => index % 5 === 0).map(policyObject),
  ]
}

function serviceObject(index: number): MeshObject {
  const spec = { selector: { app: `app-${index}` }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] }
  return { apiVersion: 'v1', kind: 'Service', metadata: placeOf(index), spec }
}

function policyObject(index: number): MeshObject {
  const principals = [`cluster.local/ns/team-${(index + 1) % namespaces}/sa/app-${index + 1}`]
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: placeOf(index),
    spec: { selector: { matchLabels: { app: `app-${index}` } }, rules: [{ from: [{ source: { principals } }] }] },
  }
}

function placeOf(service: number): { readonly name: string; readonly namespace: string } {
  return { name: `app-${service}`, namespace: `team-${service % namespaces}` }
}

/** What a host reports: its share of all workloads, every one captured. */
export function reportsOf(
  host: number,
  size: MeshSize,
  weights: ReadonlyMap<number, number>,
): readonly WorkloadReport[] {
  const reports: WorkloadReport[] = []
  for (let index = host; index < size.workloads; index += size.hosts) {
    reports.push(reportOf(index, host, size, weights.get(index) ?? 1))
  }
  return reports
}

function reportOf(index: number, host: number, size: MeshSize, weight: number): WorkloadReport {
  const { name: app, namespace } = placeOf(index % size.services)
  const name = `${app}-${Math.floor(index / size.services)}`
  return {
    uid: `${hostName(host)}/${namespace}/${name}/1`,
    name,
    namespace,
    serviceAccount: app,
    addresses: [`10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`],
    labels: { app, version: 'v1', 'app.kubernetes.io/instance': name },
    ports: { http: 8080 },
    locality: `region/zone-${host % 3}`,
    weight,
    captured: true,
    uncapturedConnections: 0,
  }
}
