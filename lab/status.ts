// What `culvert lab status` tells: where everything of a lab is. The JSON shape is documented in docs/CLI.md and stable.
import { existsSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { kubeconfigOf } from './mesh.ts'
import { isRunning, type ProcessRecord } from './processes.ts'
import { type LabSelector, labPaths, readLab, readSupervisor, type UnitState } from './state.ts'
import { workloadKey } from './units.ts'
import { waypointUnitName } from './waypoints.ts'

export interface HostStatus {
  readonly name: string
  readonly netns: string
  readonly addresses: readonly string[]
  /** Running processes by role: `agent`, `daemon`. */
  readonly pids: Readonly<Record<string, number>>
}

export interface WorkloadStatus {
  readonly name: string
  readonly namespace: string
  readonly host: string
  readonly netns: string
  readonly addresses: readonly string[]
  readonly pid?: number
}

/** One replica of a waypoint. */
export interface WaypointStatus {
  readonly name: string
  readonly namespace: string
  /** Name of its Gateway. */
  readonly gateway: string
  readonly host: string
  readonly netns: string
  readonly addresses: readonly string[]
  /** Running processes by role: `waypoint`. */
  readonly pids: Readonly<Record<string, number>>
}

export interface LabStatus {
  readonly name: string
  readonly stateDir: string
  readonly hosts: readonly HostStatus[]
  readonly workloads: readonly WorkloadStatus[]
  readonly waypoints: readonly WaypointStatus[]
  readonly wire: { readonly netns: string; readonly bridge: string; readonly addresses: readonly string[] }
  readonly control: { readonly api: string; readonly kubeconfig: string; readonly pid?: number }
  readonly supervisor: { readonly pid?: number }
  readonly processes: readonly ProcessStatus[]
}

export interface ProcessStatus {
  readonly name: string
  readonly pid?: number
  readonly restarts: number
  readonly lastExit?: string
}

/** Throws RESOURCE_NOT_FOUND where the lab is not up. */
export function labStatus(selector: LabSelector): LabStatus {
  const paths = labPaths(selector)
  const { plan } = readLab(paths)
  const record = readSupervisor(paths)
  const units = record?.units ?? {}
  const kubeconfig = kubeconfigOf(paths)
  return {
    name: paths.name,
    stateDir: paths.folder,
    hosts: plan.hosts.map(({ name, netns, addresses }) => ({
      name,
      netns,
      addresses,
      pids: { ...named('agent', units[`agent@${name}`]), ...named('daemon', units[`daemon@${name}`]) },
    })),
    workloads: plan.workloads.map((workload) => ({
      name: workload.name,
      namespace: workload.namespace,
      host: workload.host,
      netns: workload.netns,
      addresses: workload.addresses,
      ...named('pid', units[workloadKey(workload)]),
    })),
    waypoints: plan.waypoints.map(({ name, namespace, gateway, host, netns, addresses }) => ({
      name,
      namespace,
      gateway,
      host,
      netns,
      addresses,
      pids: named('waypoint', units[waypointUnitName({ name, namespace })]),
    })),
    wire: plan.wire,
    control: { api: serverOf(kubeconfig), kubeconfig, ...named('pid', units['control']) },
    supervisor: record === undefined ? {} : running('pid', record.supervisor),
    processes: Object.entries(units).map(([name, unit]) => ({
      name,
      ...named('pid', unit),
      restarts: unit.restarts,
      ...(unit.lastExit === undefined ? {} : { lastExit: unit.lastExit }),
    })),
  }
}

function named<K extends string>(key: K, unit: UnitState | undefined): { readonly [P in K]?: number } {
  return unit?.process === undefined ? {} : running(key, unit.process)
}

function running<K extends string>(key: K, process: ProcessRecord): { readonly [P in K]?: number } {
  return isRunning(process) ? ({ [key]: process.pid } as { readonly [P in K]?: number }) : {}
}

function serverOf(kubeconfig: string): string {
  if (!existsSync(kubeconfig)) return ''
  const config = parse(readFileSync(kubeconfig, 'utf8')) as
    | { readonly clusters?: readonly { readonly cluster?: { readonly server?: string } }[] }
    | undefined
  return config?.clusters?.[0]?.cluster?.server ?? ''
}
