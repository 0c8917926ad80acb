// The waypoints of a lab: their processes, tokens, Gateways, and when they are ready. Used by lab.ts, units.ts and status.ts.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApiClient } from '../cli/client.ts'
import { createToken } from '../cli/tokens.ts'
import { gatewayKind } from '../core/model/kinds/gateway.ts'
import type { MeshObject } from '../core/model/resource.ts'
import type { LabPlan, WaypointPlan } from './addressing.ts'
import { insideNamespace } from './network.ts'
import { getInside } from './probe.ts'
import type { LabPaths, Unit } from './state.ts'

type Named = Pick<WaypointPlan, 'name' | 'namespace'>

/** The host name that a replica joins with; no host of a lab has a dot in its name. */
export function waypointHost({ name, namespace }: Named): string {
  return `${name}.${namespace}`
}

export function waypointUnitName(waypoint: Named): string {
  return `waypoint@${waypointHost(waypoint)}`
}

export function waypointFolders(paths: LabPaths, waypoint: Named): { readonly state: string; readonly token: string } {
  const folder = join(paths.folder, 'hosts', waypointHost(waypoint))
  return { state: join(folder, 'waypoint'), token: join(folder, 'token') }
}

/** `culvert` are the words that start the CLI. */
export function waypointUnit(
  waypoint: WaypointPlan,
  paths: LabPaths,
  culvert: readonly string[],
  settings: { readonly feed: string; readonly drainTimeout?: string | undefined },
): Pick<Unit, 'name' | 'command' | 'startWhen'> {
  const folders = waypointFolders(paths, waypoint)
  const { feed, drainTimeout } = settings
  const command = [
    ...culvert,
    'waypoint',
    ...['--name', `${waypoint.namespace}/${waypoint.gateway}`],
    ...['--instance', waypoint.name],
    ...['--address', waypoint.addresses.join(',')],
    ...['--control', feed],
    ...['--state-dir', folders.state],
    ...['--token-file', folders.token],
    ...(drainTimeout === undefined ? [] : ['--drain-timeout', drainTimeout]),
  ]
  return {
    name: waypointUnitName(waypoint),
    command: insideNamespace(waypoint.netns, command),
    startWhen: folders.token,
  }
}

/** One join token per replica: for its own name, and for the identity of its Gateway. */
export async function createWaypointTokens(client: ApiClient, plan: LabPlan, paths: LabPaths): Promise<void> {
  for (const waypoint of plan.waypoints) {
    const { token } = await createToken(client, {
      host: waypointHost(waypoint),
      identities: [`${waypoint.namespace}/${waypoint.gateway}`],
      waypoint: true,
      ttlSeconds: 600,
    })
    writeFileSync(waypointFolders(paths, waypoint).token, `${token}\n`, { mode: 0o600 })
  }
}

/** Gateways of the topology's waypoints that the resources do not define. */
export function missingGateways(plan: LabPlan, objects: readonly MeshObject[]): readonly MeshObject[] {
  const nameOf = (object: MeshObject): string => `${object.metadata.namespace ?? 'default'}/${object.metadata.name}`
  const defined = new Set(objects.filter(({ kind }) => kind === gatewayKind.kind).map(nameOf))
  const needed = new Set(plan.waypoints.map(({ namespace, gateway }) => `${namespace}/${gateway}`))
  return [...needed.difference(defined)].map((key) => {
    const [namespace = '', name = ''] = key.split('/')
    return {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: gatewayKind.kind,
      metadata: { name, namespace },
      spec: {
        gatewayClassName: 'culvert-waypoint',
        listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
      },
    }
  })
}

/** Undefined once the process takes requests and its Gateway is said to be programmed; otherwise what is missing. */
export async function waypointProblem(waypoint: WaypointPlan, client: ApiClient): Promise<string | undefined> {
  const { status, body } = await getInside(waypoint.netns, {
    address: '127.0.0.1',
    port: 15021,
    path: '/healthz/ready',
  })
  if (status !== 200) return `it answers ${status}: ${body.trim()}`
  const { items } = await client.list(gatewayKind)
  const gateway = items.find(
    ({ metadata }) => metadata.name === waypoint.gateway && metadata.namespace === waypoint.namespace,
  )
  if (gateway === undefined) return `there is no Gateway ${waypoint.namespace}/${waypoint.gateway}`
  const programmed = gateway.status?.conditions?.find(({ type }) => type === 'Programmed')
  if (programmed?.status === 'True') return undefined
  return `its Gateway is not programmed: ${programmed?.message ?? 'nothing is said about it yet'}`
}
