// What the supervisor runs for a lab: the command line of every process, as data. Called by lab.ts.
import { join } from 'node:path'
import { shipped } from '../cli/build.ts'
import type { HostPlan, LabPlan, WorkloadPlan } from './addressing.ts'
import { insideNamespace, insideWorkload, netnsPath } from './network.ts'
import type { LabPaths, Unit } from './state.ts'
import { waypointUnit } from './waypoints.ts'

export interface UnitSettings {
  readonly leafLifetime?: string
  /** Of the daemons and waypoints. */
  readonly drainTimeout?: string
  readonly logLevel?: string
  /** More environment for single processes, by unit name (`daemon@h1`): what a drop-in of systemd would set. */
  readonly environment?: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** As it ships, also where the lab itself runs from the sources. */
function node(source: Parameters<typeof shipped>[0]): readonly string[] {
  return [process.execPath, '--disable-warning=ExperimentalWarning', shipped(source)]
}

export const feedPort = 15012

/** The feed as agents reach it over the wire. */
export function feedAddress(plan: LabPlan): string {
  return `${plan.wire.addresses[0]}:${feedPort}`
}

export function workloadKey(workload: { readonly name: string; readonly namespace: string }): string {
  return `${workload.name}.${workload.namespace}`
}

export function resolverFile(paths: LabPaths, workload: { readonly name: string; readonly namespace: string }): string {
  return join(paths.folder, 'resolv', `${workloadKey(workload)}.conf`)
}

export interface HostFolders {
  readonly agent: string
  readonly daemon: string
  readonly workloads: string
  readonly token: string
  /** Unix socket and namespace pins, shared by agent and daemon. */
  readonly run: string
}

export function hostFolders(paths: LabPaths, host: string): HostFolders {
  const folder = join(paths.folder, 'hosts', host)
  return {
    agent: join(folder, 'agent'),
    daemon: join(folder, 'daemon'),
    workloads: join(folder, 'workloads'),
    token: join(folder, 'token'),
    run: join(paths.runFolder, host),
  }
}

/** All processes of a lab, in starting order. */
export function allUnits(plan: LabPlan, paths: LabPaths, settings: UnitSettings): readonly Unit[] {
  const hosts = plan.hosts.flatMap((host) => [
    daemonUnit(host, paths, settings),
    agentUnit(plan, host, paths, settings),
  ])
  const waypoints = plan.waypoints.map((waypoint) => ({
    ...waypointUnit(waypoint, paths, node('cli/main.ts'), {
      feed: feedAddress(plan),
      drainTimeout: settings.drainTimeout,
    }),
    environment: logEnvironment(settings),
  }))
  const units = [controlUnit(plan, paths, settings), ...hosts, ...waypoints, ...workloadUnits(plan, paths)]
  return units.map((unit) => ({ ...unit, environment: { ...unit.environment, ...settings.environment?.[unit.name] } }))
}

export function workloadUnits(plan: LabPlan, paths: LabPaths): readonly Unit[] {
  return plan.workloads.flatMap((workload) => {
    const command = workloadCommand(workload)
    if (command === undefined) return []
    return [
      {
        name: workloadKey(workload),
        command: insideWorkload(workload.netns, resolverFile(paths, workload), command),
        environment: workloadEnvironment(workload),
      },
    ]
  })
}

function workloadCommand(workload: WorkloadPlan): readonly string[] | undefined {
  switch (workload.spec.process.kind) {
    case 'echo':
      return node('lab/echo/main.ts')
    case 'command':
      return ['/bin/sh', '-c', workload.spec.process.command]
    case 'idle':
      return undefined
  }
}

/** What a workload finds in its environment: the names that the conformance echo server reads. */
export function workloadEnvironment(workload: WorkloadPlan): Readonly<Record<string, string>> {
  return {
    NAMESPACE: workload.namespace,
    POD_NAME: workload.name,
    SERVICE_NAME: workload.spec.labels['app'] ?? workload.name,
    HOST_NAME: workload.host,
  }
}

function logEnvironment(settings: UnitSettings): Readonly<Record<string, string>> {
  return settings.logLevel === undefined ? {} : { CULVERT_LOG_LEVEL: settings.logLevel }
}

function controlUnit(plan: LabPlan, paths: LabPaths, settings: UnitSettings): Unit {
  return {
    name: 'control',
    command: [
      ...node('cli/main.ts'),
      'control',
      ...['--state-dir', paths.controlState],
      // A free port; control takes the same one when it is started again.
      ...['--api-address', '127.0.0.1:0'],
      ...['--feed-netns', netnsPath(plan.wire.netns)],
      ...['--feed-address', feedAddress(plan)],
      ...(settings.leafLifetime === undefined ? [] : ['--leaf-lifetime', settings.leafLifetime]),
    ],
    environment: logEnvironment(settings),
  }
}

function agentUnit(plan: LabPlan, host: HostPlan, paths: LabPaths, settings: UnitSettings): Unit {
  const folders = hostFolders(paths, host.name)
  const command = [
    ...node('cli/main.ts'),
    'agent',
    ...['--host', host.name],
    ...['--control', feedAddress(plan)],
    ...['--state-dir', folders.agent],
    ...['--run-dir', folders.run],
    ...['--workloads-dir', folders.workloads],
    ...['--token-file', folders.token],
  ]
  return {
    name: `agent@${host.name}`,
    command: insideNamespace(host.netns, command),
    environment: logEnvironment(settings),
    startWhen: folders.token,
  }
}

function daemonUnit(host: HostPlan, paths: LabPaths, settings: UnitSettings): Unit {
  const folders = hostFolders(paths, host.name)
  const drain = settings.drainTimeout === undefined ? [] : ['--drain-timeout', settings.drainTimeout]
  const command = [
    ...node('cli/main.ts'),
    'daemon',
    ...['--state-dir', folders.daemon],
    ...['--run-dir', folders.run],
    ...drain,
  ]
  return {
    name: `daemon@${host.name}`,
    command: insideNamespace(host.netns, command),
    environment: logEnvironment(settings),
  }
}
