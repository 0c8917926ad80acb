// What the lab asks of its control plane over the API: tokens, resources, and whether hosts and workloads have arrived.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { applyObject, objectName, servedKind } from '../cli/apply.ts'
import type { ApiClient } from '../cli/client.ts'
import { type HostStatus, meshStatus } from '../cli/mesh-status.ts'
import { createToken } from '../cli/tokens.ts'
import { isEnrolled } from '../core/model/enrolment.ts'
import { namespaceKind } from '../core/model/kinds/core.ts'
import { workloadEntryKind } from '../core/model/kinds/istio.ts'
import type { MeshObject } from '../core/model/resource.ts'
import { type LabPlan, placesOf, type WorkloadPlan } from './addressing.ts'
import { getInside } from './probe.ts'
import type { ReadyPart } from './ready.ts'
import type { LabPaths } from './state.ts'
import { hostFolders, workloadKey } from './units.ts'
import { createWaypointTokens, waypointHost, waypointProblem, waypointUnitName } from './waypoints.ts'

/** Where control writes the administrator's kubeconfig. */
export function kubeconfigOf(paths: LabPaths): string {
  return join(paths.controlState, 'kubeconfig')
}

/** One join token per host, for exactly the identities of its workloads. The agents start when they find theirs. */
export async function createTokens(client: ApiClient, plan: LabPlan, paths: LabPaths): Promise<void> {
  for (const host of plan.hosts) {
    // A grant names at least one identity, also where the host has nothing to run.
    const identities = new Set(
      plan.workloads
        .filter((workload) => workload.host === host.name)
        .map((workload) => `${workload.namespace}/${workload.spec.serviceAccount}`),
    )
    const { token } = await createToken(client, {
      host: host.name,
      identities: identities.size === 0 ? ['default/default'] : [...identities],
      ttlSeconds: 600,
    })
    writeFileSync(hostFolders(paths, host.name).token, `${token}\n`, { mode: 0o600 })
  }
  await createWaypointTokens(client, plan, paths)
}

/** Namespace objects for the topology's workloads that the resources do not define: without the enrolment label. */
export function missingNamespaces(plan: LabPlan, objects: readonly MeshObject[]): readonly MeshObject[] {
  const defined = new Set(objects.filter((object) => object.kind === 'Namespace').map((object) => object.metadata.name))
  const needed = new Set(placesOf(plan).map(({ namespace }) => namespace))
  return [...needed]
    .filter((name) => !defined.has(name))
    .map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }))
}

export async function applyResources(
  client: ApiClient,
  objects: readonly MeshObject[],
  progress: (text: string) => void,
): Promise<void> {
  for (const object of objects) {
    const { outcome } = await applyObject(client, object)
    progress(`${objectName(servedKind(object), object.metadata.name)} ${outcome}`)
  }
}

/** Daemons healthy; agents connected and up to date; workloads reported; enrolled ones captured. */
export function meshParts(client: ApiClient, plan: LabPlan): readonly ReadyPart[] {
  const daemons = plan.hosts.map((host) => ({
    name: `daemon of ${host.name}`,
    unit: `daemon@${host.name}`,
    check: async () => {
      const { status, body } = await getInside(host.netns, {
        address: '127.0.0.1',
        port: 15021,
        path: '/healthz/ready',
      })
      return status === 200 ? undefined : `it answers ${status}: ${body.trim()}`
    },
  }))
  const look = lookOnce(client)
  const agents = plan.hosts.map((host) => ({
    name: `agent of ${host.name}`,
    unit: `agent@${host.name}`,
    check: async () => hostProblem((await look()).hosts.get(host.name)),
  }))
  const waypoints = plan.waypoints.map((waypoint) => ({
    name: `waypoint ${waypointHost(waypoint)}`,
    unit: waypointUnitName(waypoint),
    check: async () => {
      const { hosts, entries } = await look()
      const host = hostProblem(hosts.get(waypointHost(waypoint)))
      if (host !== undefined) return host
      if (!isOpen(entries.get(workloadKey(waypoint)))) return 'it does not take tunnels yet'
      return await waypointProblem(waypoint, client)
    },
  }))
  return [
    ...daemons,
    ...agents,
    ...waypoints,
    ...plan.workloads.map((workload) => ({
      name: `workload ${workloadKey(workload)}`,
      unit: `agent@${workload.host}`,
      check: async () => workloadProblem(workload, await look()),
    })),
  ]
}

/**
 * Undefined once every workload is as its labels ask and every host has acknowledged all that the store held by then, so that
 * peers use the tunnel to what is captured; otherwise what is missing.
 */
export async function outOfStep(client: ApiClient, workloads: readonly WorkloadPlan[]): Promise<string | undefined> {
  const view = await meshView(client)
  for (const workload of workloads) {
    const problem = workloadProblem(workload, view)
    if (problem !== undefined) return `workload ${workloadKey(workload)}: ${problem}`
  }
  // Asked after the view: what was captured just now must be in the version that the hosts have.
  const { resourceVersion } = await client.list(namespaceKind)
  const status = await meshStatus(client)
  if (status === undefined || status.revision < Number(resourceVersion)) return 'changes are still being compiled'
  const behind = status.hosts.find(({ connected, lag }) => !connected || lag > 0)
  return behind === undefined ? undefined : `host ${behind.host}: ${hostProblem(behind) ?? 'it is not in step'}`
}

export interface MeshView {
  readonly hosts: ReadonlyMap<string, HostStatus>
  readonly namespaces: ReadonlyMap<string, MeshObject>
  readonly entries: ReadonlyMap<string, MeshObject>
}

/** One look at the API serves all the parts that are asked about within a moment. */
function lookOnce(client: ApiClient): () => Promise<MeshView> {
  let view: Promise<MeshView> | undefined
  let until = 0
  return () => {
    if (view === undefined || performance.now() > until) {
      until = performance.now() + 80
      view = meshView(client)
    }
    return view
  }
}

export async function meshView(client: ApiClient): Promise<MeshView> {
  const [status, namespaces, entries] = await Promise.all([
    meshStatus(client),
    client.list(namespaceKind),
    client.list(workloadEntryKind),
  ])
  return {
    hosts: new Map((status?.hosts ?? []).map((host) => [host.host, host])),
    namespaces: new Map(namespaces.items.map((object) => [object.metadata.name, object])),
    entries: new Map(entries.items.map((object) => [`${object.metadata.name}.${object.metadata.namespace}`, object])),
  }
}

export function hostProblem(host: HostStatus | undefined): string | undefined {
  if (host === undefined) return 'it has not joined'
  if (!host.connected) return 'it is not connected to the control plane'
  const [refused] = host.refusedWorkloads
  if (refused !== undefined) return `workload ${refused.uid} was refused: ${refused.reason}`
  const [resource] = host.refused
  if (resource !== undefined) return `it refused ${resource.kind} ${resource.key}: ${resource.reason}`
  return host.lag > 0 ? `it is ${host.lag} versions behind` : undefined
}

/** Whether the labels of the namespace and of the workload ask for capture. */
export function wantsCapture(workload: WorkloadPlan, view: MeshView): boolean {
  const entry = view.entries.get(workloadKey(workload))
  const own = { ...workload.spec.labels, ...entry?.metadata.labels }
  return isEnrolled(own, view.namespaces.get(workload.namespace)?.metadata.labels ?? {})
}

export function isCaptured(workload: WorkloadPlan, view: MeshView): boolean {
  return isOpen(view.entries.get(workloadKey(workload)))
}

/** Whether peers may use the tunnel to a workload. */
function isOpen(entry: MeshObject | undefined): boolean {
  return entry?.metadata.annotations?.['culvert.dev/redirection'] === 'enabled'
}

export function workloadProblem(workload: WorkloadPlan, view: MeshView): string | undefined {
  if (!view.entries.has(workloadKey(workload))) return 'its agent has not reported it'
  const wanted = wantsCapture(workload, view)
  if (wanted && !isCaptured(workload, view)) return 'it is enrolled, but not captured yet'
  if (!wanted && isCaptured(workload, view)) return 'it is not enrolled any more, but still captured'
  return undefined
}
