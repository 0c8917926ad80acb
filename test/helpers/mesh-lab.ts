// A small mesh in a lab for one netns test file: what the tests of failures, certificates, enrolment, samples, garbage and bad
// input share. On top of NetnsWorld: the real CLI, kills, load, logs, certificates.
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { MeshStatus } from '../../core/model/mesh-status.ts'
import { warmThreadPool } from '../../core/net/sys.ts'
import type { HostPlan } from '../../lab/addressing.ts'
import type { CommandResult } from '../../lab/command.ts'
import { tryCommand } from '../../lab/command.ts'
import { holdUnit, killUnit, releaseUnit, unitProcess, waitRestarted } from '../../lab/faults.ts'
import { type UpOptions, upLab, waitUntil } from '../../lab/lab.ts'
import { loadFrom, type RunningLoad, startLoad } from '../../lab/load/in-workload.ts'
import type { LoadPlan, LoadReport } from '../../lab/load/load.ts'
import { kubeconfigOf } from '../../lab/mesh.ts'
import { getInside } from '../../lab/probe.ts'
import { logFile } from '../../lab/state.ts'
import { parseTopology } from '../../lab/topology.ts'
import { NetnsWorld, parse } from './netns-world.ts'

export interface MeshLabOptions {
  /** Letters and digits; the process id is added, so that two runs never meet. */
  readonly name: string
  readonly stateDir: string
  /** YAML. */
  readonly topology: string
  readonly manifests: string
  readonly leafLifetime?: string
  /** Of the daemons. */
  readonly drainTimeout?: string
  /** More environment for single processes, by unit name. */
  readonly environment?: NonNullable<UpOptions['environment']>
}

const script = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

/** Builds the lab; resolves once the mesh has converged. The caller closes it. */
export async function meshLab(options: MeshLabOptions): Promise<MeshLab> {
  await warmThreadPool()
  const up: UpOptions = {
    name: `${options.name}${process.pid}`,
    stateDir: options.stateDir,
    topology: parseTopology(options.topology, 'topology.yaml'),
    objects: parse(options.manifests),
    ...(options.leafLifetime === undefined ? {} : { leafLifetime: options.leafLifetime }),
    ...(options.drainTimeout === undefined ? {} : { drainTimeout: options.drainTimeout }),
    ...(options.environment === undefined ? {} : { environment: options.environment }),
  }
  const world = new MeshLab(await upLab(up))
  await world.converge()
  return world
}

export class MeshLab extends NetnsWorld {
  /** The real command, as a user runs it, with the administrator's kubeconfig. */
  cli(...words: readonly string[]): Promise<CommandResult> {
    return this.run(words, '')
  }

  run(words: readonly string[], input: string): Promise<CommandResult> {
    const env = { ...process.env, CULVERT_KUBECONFIG: kubeconfigOf(this.lab.paths), NO_COLOR: '1' }
    return tryCommand(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...words], { env, input })
  }

  /** As `cli`, and it must succeed. */
  async culvert(...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cli(...words)
    if (code !== 0) throw new Error(`culvert ${words.join(' ')}: ${code}: ${stderr}`)
    return stdout
  }

  async status(): Promise<MeshStatus> {
    const { mesh } = JSON.parse(await this.culvert('status', '-o', 'json')) as { readonly mesh: MeshStatus }
    return mesh
  }

  /** `workload` is `name.namespace`. */
  load(workload: string, plan: LoadPlan): Promise<LoadReport> {
    return loadFrom(this.lab.selector, workload, plan)
  }

  startLoad(workload: string, plan: LoadPlan): RunningLoad {
    return startLoad(this.lab.selector, workload, plan)
  }

  pid(unit: string): number | undefined {
    return unitProcess(this.lab.selector, unit)?.pid
  }

  /** Pids of every process that the lab runs, by unit. */
  pids(): Readonly<Record<string, number | undefined>> {
    const { hosts, workloads } = this.lab.plan
    const echoes = workloads.filter(({ spec }) => spec.process.kind !== 'idle')
    const units = [
      'control',
      ...hosts.flatMap(({ name }) => [`agent@${name}`, `daemon@${name}`]),
      ...echoes.map(({ name, namespace }) => `${name}.${namespace}`),
    ]
    return Object.fromEntries(units.map((unit) => [unit, this.pid(unit)]))
  }

  /** kill -9, and down until `release`. */
  async hold(...units: readonly string[]): Promise<void> {
    await Promise.all(units.map((unit) => holdUnit(this.lab.selector, unit)))
  }

  release(...units: readonly string[]): void {
    for (const unit of units) releaseUnit(this.lab.selector, unit)
  }

  /** kill -9 of all at once; resolves when the supervisor has started each again. */
  async kill(...units: readonly string[]): Promise<void> {
    const before = units.map((unit) => ({ unit, record: killUnit(this.lab.selector, unit) }))
    await Promise.all(before.map(({ unit, record }) => waitRestarted(this.lab.selector, unit, record)))
  }

  /** As `converge`, after a restart of the control plane: its API may not be there yet. */
  override async converge(): Promise<void> {
    let problem: unknown
    const tried = async (): Promise<boolean> => {
      try {
        await super.converge()
        return true
      } catch (error: unknown) {
        problem = error
        return false
      }
    }
    await waitUntil('the mesh converges', tried, 30_000).catch((error: unknown) => {
      throw problem ?? error
    })
  }

  /** The host of `namespace/name`. */
  hostOf(workload: string): HostPlan {
    const { host } = this.workload(workload)
    return this.lab.plan.hosts.find(({ name }) => name === host)!
  }

  /** JSON of a daemon's admin port. */
  async admin(host: string, path: string): Promise<unknown> {
    const { netns } = this.lab.plan.hosts.find(({ name }) => name === host)!
    const { status, body } = await getInside(netns, { address: '127.0.0.1', port: 15000, path })
    if (status !== 200) throw new Error(`the admin port of ${host} answers ${status} to ${path}`)
    return JSON.parse(body)
  }

  /** Resolves once the host's daemon says that it is ready. */
  async daemonReady(host: string): Promise<void> {
    const { netns } = this.lab.plan.hosts.find(({ name }) => name === host)!
    const target = { address: '127.0.0.1', port: 15021, path: '/healthz/ready' }
    const check = async (): Promise<boolean> => {
      const answer = await getInside(netns, target).catch(() => undefined)
      return answer?.status === 200
    }
    await waitUntil(`the daemon of ${host} is ready`, check, 30_000)
  }

  /** Serial numbers of the certificates that a host's daemon holds, by identity. */
  async serials(host: string): Promise<ReadonlyMap<string, string>> {
    const list = (await this.admin(host, '/certificates')) as readonly { identity: string; chain: string }[]
    return new Map(list.map(({ identity, chain }) => [identity, new X509Certificate(chain).serialNumber]))
  }

  /** Size of a unit's log now: where `logSince` may begin. */
  logSize(unit: string): number {
    return statSync(logFile(this.lab.paths, unit)).size
  }

  /** What a unit has logged from byte `from` on. */
  logSince(unit: string, from: number): string {
    return readFileSync(logFile(this.lab.paths, unit)).subarray(from).toString()
  }
}
