// Builds a lab: a whole mesh of several hosts on this machine, from a topology. The one place that knows the order of steps.
// Called by `culvert lab up`, the demo and the netns tests.
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ApiClient } from '../cli/client.ts'
import { readConnection } from '../cli/kubeconfig.ts'
import { requireManifests } from '../cli/manifests.ts'
import { sleep } from '../core/base/deadline.ts'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import type { MeshObject } from '../core/model/resource.ts'
import { type LabPlan, planLab } from './addressing.ts'
import { requireLabMachine } from './command.ts'
import { downLab } from './down.ts'
import { applyResources, createTokens, kubeconfigOf, meshParts, missingNamespaces, outOfStep } from './mesh.ts'
import { createNetwork, listNamespaces, writeResolver } from './network.ts'
import { getInside } from './probe.ts'
import { labMarker } from './processes.ts'
import { type ReadyPart, waitReady } from './ready.ts'
import {
  type LabPaths,
  type LabRecord,
  type LabSelector,
  labPaths,
  logFile,
  makeFolders,
  readSupervisor,
  type Unit,
  writeJson,
} from './state.ts'
import type { Topology } from './topology.ts'
import { allUnits, hostFolders, resolverFile, type UnitSettings, workloadKey, workloadUnits } from './units.ts'
import { missingGateways, waypointFolders } from './waypoints.ts'
import { writeWorkloadFile } from './workload-file.ts'

export interface UpOptions extends LabSelector {
  readonly topology: Topology
  /** Files, folders or `-` with resources; and objects that are checked already. */
  readonly resources?: readonly string[]
  readonly objects?: readonly MeshObject[]
  /** `all`: a mesh; `workloads`: only namespaces and what runs in them; `none`: only namespaces. */
  readonly processes?: LabRecord['processes']
  readonly leafLifetime?: string
  readonly drainTimeout?: string
  readonly logLevel?: string
  readonly environment?: UnitSettings['environment']
  /** For everything to become ready. */
  readonly timeoutMs?: number
  readonly progress?: (text: string) => void
  readonly signal?: AbortSignal
  /** Leave what was built when a step fails, to look at it. */
  readonly keepOnFailure?: boolean
}

/** A lab that is up. */
export interface Lab {
  readonly selector: LabSelector
  readonly paths: LabPaths
  readonly plan: LabPlan
}

const readyMs = 60_000

/**
 * Builds a lab and returns when all of it is ready. Throws CONFIG_INVALID or RESOURCE_INVALID before anything is built, and
 * LAB_FAILED naming the step and the end of the log; what was built is then removed.
 */
export async function upLab(options: UpOptions): Promise<Lab> {
  const paths = labPaths(options)
  requireLabMachine()
  const files = requireManifests(options.resources ?? [], 'default', readStandardInput).map(
    (manifest) => manifest.object,
  )
  const objects = [...files, ...(options.objects ?? [])]
  await refuseExisting(paths)
  const lab = {
    selector: { name: paths.name, stateDir: stateDirOf(paths) },
    paths,
    plan: planLab(paths.name, options.topology),
  }
  try {
    await build(lab, options, objects)
    options.signal?.throwIfAborted()
    return lab
  } catch (error: unknown) {
    const interrupted = options.signal?.aborted === true
    // What a step that was cut short complains about is nobody's fault and no news.
    const failure = interrupted ? new MeshError('ABORTED', 'interrupted') : asMeshError(error, 'LAB_FAILED')
    if (options.keepOnFailure === true) throw withHint(failure, `left as it is; remove it with ${downCommand(paths)}`)
    await downLab(lab.selector)
    throw withHint(failure, 'what was built has been removed')
  }
}

/** A client of the lab's API, as its administrator. The caller closes it. */
export function labClient(lab: Lab): ApiClient {
  return new ApiClient(readConnection({ kubeconfig: kubeconfigOf(lab.paths) }))
}

async function build(lab: Lab, options: UpOptions, objects: readonly MeshObject[]): Promise<void> {
  const { paths, plan } = lab
  const processes = options.processes ?? 'all'
  const progress = options.progress ?? ((): void => {})
  const timing = { progress, ...(options.signal === undefined ? {} : { signal: options.signal }) }
  await writeState(lab, processes)
  progress(`building ${described(plan)} as network namespaces`)
  await createNetwork(plan, options.signal)
  if (processes === 'none') return
  const units = chooseUnits(lab, options, processes)
  writeJson(paths.units, units)
  startSupervisor(paths)
  progress(`starting ${units.length} processes`)
  const timeoutMs = options.timeoutMs ?? readyMs
  if (processes === 'all') {
    const end = performance.now() + timeoutMs
    await waitReady(paths, [controlPart(lab)], timeoutMs, timing)
    const client = labClient(lab)
    try {
      await applyResources(
        client,
        [...missingNamespaces(plan, objects), ...objects, ...missingGateways(plan, objects)],
        progress,
      )
      await createTokens(client, plan, paths)
      const left = (): number => end - performance.now()
      await waitReady(paths, [...echoParts(lab), ...meshParts(client, plan)], left(), timing)
      const inStep = { name: 'the mesh', unit: 'control', check: () => outOfStep(client, plan.workloads) }
      await waitReady(paths, [inStep], left(), timing)
    } finally {
      client.close()
    }
  } else await waitReady(paths, echoParts(lab), timeoutMs, timing)
}

async function writeState(lab: Lab, processes: LabRecord['processes']): Promise<void> {
  const { paths, plan } = lab
  makeFolders(paths.folder, paths.logs, paths.holds, paths.reloads, paths.runFolder, `${paths.folder}/resolv`)
  const record: LabRecord = { plan, createdAt: new Date().toISOString(), processes }
  writeJson(paths.lab, record)
  for (const host of plan.hosts) {
    const folders = hostFolders(paths, host.name)
    makeFolders(folders.agent, folders.daemon, folders.workloads, folders.run)
  }
  for (const waypoint of plan.waypoints) makeFolders(waypointFolders(paths, waypoint).state)
  for (const workload of plan.workloads) {
    const host = plan.hosts.find((candidate) => candidate.name === workload.host)!
    await writeResolver(resolverFile(paths, workload), workload.namespace, host.addresses[0])
    writeWorkloadFile(hostFolders(paths, host.name).workloads, workload, host)
  }
}

/** `2 hosts, 3 workloads`. */
export function described({ hosts, workloads, waypoints }: LabPlan): string {
  const count = waypoints.length
  const tail = count === 0 ? '' : `, ${count} ${count === 1 ? 'waypoint' : 'waypoints'}`
  return `${hosts.length} hosts, ${workloads.length} workloads${tail}`
}

function chooseUnits(lab: Lab, options: UpOptions, processes: 'all' | 'workloads'): readonly Unit[] {
  if (processes === 'workloads') return workloadUnits(lab.plan, lab.paths)
  return allUnits(lab.plan, lab.paths, {
    ...(options.leafLifetime === undefined ? {} : { leafLifetime: options.leafLifetime }),
    ...(options.drainTimeout === undefined ? {} : { drainTimeout: options.drainTimeout }),
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
    ...(options.environment === undefined ? {} : { environment: options.environment }),
  })
}

function startSupervisor(paths: LabPaths): void {
  const log = openSync(logFile(paths, 'supervisor'), 'a', 0o600)
  const script = fileURLToPath(new URL('./supervisor.ts', import.meta.url))
  const words = ['--disable-warning=ExperimentalWarning', script, paths.name, stateDirOf(paths)]
  // Marked, so that `lab down` finds it before it has written its first record.
  const env = { ...process.env, [labMarker]: `${paths.name}/supervisor` }
  const child = spawn(process.execPath, words, { detached: true, stdio: ['ignore', log, log], cwd: '/', env })
  closeSync(log)
  child.unref()
}

function controlPart(lab: Lab): ReadyPart {
  return {
    name: 'control',
    unit: 'control',
    check: async () => {
      if (!existsSync(kubeconfigOf(lab.paths))) return 'it has not written its kubeconfig yet'
      const client = labClient(lab)
      try {
        await client.json('GET', '/culvert/v1/status')
        return undefined
      } finally {
        client.close()
      }
    },
  }
}

function echoParts(lab: Lab): readonly ReadyPart[] {
  return lab.plan.workloads
    .filter((workload) => workload.spec.process.kind === 'echo')
    .map((workload) => ({
      name: `echo ${workloadKey(workload)}`,
      unit: workloadKey(workload),
      check: async () => {
        const { status } = await getInside(workload.netns, { address: '127.0.0.1', port: 8080, path: '/health' })
        return status === 200 ? undefined : `it answers ${status}`
      },
    }))
}

async function refuseExisting(paths: LabPaths): Promise<void> {
  const namespaces = await listNamespaces(paths.name)
  if (!existsSync(paths.lab) && namespaces.length === 0 && readSupervisor(paths) === undefined) return
  throw new MeshError(
    'LAB_FAILED',
    `lab "${paths.name}" exists already: remove it with ${downCommand(paths)}, or use --name`,
  )
}

function downCommand(paths: LabPaths): string {
  return `\`culvert lab down${paths.name === 'lab' ? '' : ` --name ${paths.name}`}\``
}

function stateDirOf(paths: LabPaths): string {
  return paths.folder.slice(0, -paths.name.length - 1)
}

function withHint(error: MeshError, hint: string): MeshError {
  return new MeshError(error.code, `${error.message}\n(${hint})`, { cause: error })
}

function readStandardInput(): string {
  throw new MeshError('CONFIG_INVALID', 'a lab takes resources from files, not from standard input')
}

/** Waits until `check` holds. Throws LAB_FAILED with `what` when the time is up. */
export async function waitUntil(
  what: string,
  check: () => Promise<boolean> | boolean,
  timeoutMs: number,
): Promise<void> {
  const end = performance.now() + timeoutMs
  for (;;) {
    if (await check()) return
    if (performance.now() > end) throw new MeshError('LAB_FAILED', `${what}: not within ${timeoutMs} ms`)
    await sleep(50)
  }
}
