// Everything that is measured, up and running: a lab with a waypoint, the peers as enrolled workloads, the applications. Built by main.ts,
// which closes it; scenarios get its targets.
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MeshError } from '../../core/base/errors.ts'
import { warmThreadPool } from '../../core/net/sys.ts'
import { downLab } from '../../lab/down.ts'
import { spawnInWorkload } from '../../lab/exec.ts'
import { stopUnit } from '../../lab/faults.ts'
import { type Lab, upLab, waitUntil } from '../../lab/lab.ts'
import { workloadKey } from '../../lab/units.ts'
import { parse } from '../../test/helpers/netns-world.ts'
import { render, unlimited } from '../peers.ts'
import {
  applicationOf,
  hosts,
  isPlain,
  type Peer,
  ports,
  proxyOf,
  type Subject,
  waypointManifests,
  waypointTopology,
  workloadOf,
} from './subjects.ts'
import { Target, waypointUnit } from './target.ts'

export interface WorldOptions {
  readonly subjects: readonly Subject[]
  /** Data workers of daemons and waypoint, threads or processes of a peer. */
  readonly workers: number
  /** For the waypoint's Node, and for the daemons'. */
  readonly nodeOptions: readonly string[]
  readonly progress: (text: string) => void
  readonly signal: AbortSignal
}

const plainProxy = fileURLToPath(new URL('./plain-proxy.ts', import.meta.url))
const noWarning = '--disable-warning=ExperimentalWarning'
/** In a call that streams. */
const streamedMessages = 1_000
const configured: Readonly<Record<Peer, { readonly template: string; readonly command: readonly string[] }>> = {
  haproxy: { template: 'haproxy.cfg', command: ['haproxy', '-db', '-f'] },
  nginx: { template: 'nginx.conf', command: ['nginx', '-e', 'stderr', '-c'] },
}

export class World {
  readonly #options: WorldOptions
  readonly #lab: Lab
  readonly #folder: string
  readonly #children: ChildProcess[] = []
  readonly #targets: Target[] = []
  #closing = false

  private constructor(options: WorldOptions, lab: Lab) {
    this.#options = options
    this.#lab = lab
    this.#folder = mkdtempSync(join(tmpdir(), 'culvert-bench-'))
  }

  /** Builds all of it and returns when every target answers. What was built is removed where that fails. */
  static async up(options: WorldOptions): Promise<World> {
    await warmThreadPool()
    const world = new World(options, await startLab(options))
    try {
      await world.#start()
      return world
    } catch (error: unknown) {
      await world.close()
      throw error
    }
  }

  get targets(): readonly Target[] {
    return this.#targets
  }

  async close(): Promise<void> {
    this.#closing = true
    for (const child of this.#children) child.kill('SIGTERM')
    // In order, so that what is being profiled writes what it has.
    if (this.#options.nodeOptions.length > 0) {
      const units = [...Object.values(hosts).map((host) => `daemon@${host}`), waypointUnit]
      await Promise.all(units.map((unit) => stopUnit(this.#lab.selector, unit)))
    }
    await downLab(this.#lab.selector)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #start(): Promise<void> {
    const { subjects, progress, workers } = this.#options
    progress('starting the applications and the peers')
    this.#writeBodies()
    for (const workload of new Set(subjects.map(applicationAt))) {
      const values = { FOLDER: this.#folder, NAME: workload, THREADS: 1, HTTP: ports.http, H2: ports.h2 }
      const file = this.#write(`${workload}.conf`, render(template('application.conf'), values))
      this.#spawn(workload, ['nginx', '-e', 'stderr', '-c', file])
    }
    for (const name of subjects) {
      const pid = this.#startProxy(name, workers)
      const facts = { name, selector: this.#lab.selector, folder: this.#folder, ...(pid === undefined ? {} : { pid }) }
      const entry = proxyOf(name) === 'direct' ? applicationAt(name) : workloadOf(name, proxyOf(name))
      this.#targets.push(new Target(isPlain(name) ? { ...facts, address: this.#address(entry) } : facts))
    }
    await Promise.all(this.#targets.map((target) => this.#waitAnswer(target)))
  }

  #writeBodies(): void {
    const folder = join(this.#folder, 'bodies')
    mkdirSync(join(folder, 'grpc'), { recursive: true })
    writeFileSync(join(folder, '1k'), 'k'.repeat(1_024))
    writeFileSync(join(folder, '64k'), 'k'.repeat(65_536))
    // A gRPC message: not compressed, 100 bytes.
    const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 100]), Buffer.alloc(100, 1)])
    writeFileSync(join(folder, 'message'), message)
    writeFileSync(join(folder, 'grpc', 'unary'), message)
    writeFileSync(
      join(folder, 'grpc', 'stream'),
      Buffer.concat(Array.from({ length: streamedMessages }, () => message)),
    )
  }

  /** Undefined where the lab runs what stands between, or nobody does. */
  #startProxy(subject: Subject, threads: number): number | undefined {
    const proxy = proxyOf(subject)
    const application = this.#address(applicationAt(subject))
    const workload = workloadOf(subject, proxy)
    if (proxy === 'direct' || subject === 'culvert') return undefined
    if (proxy === 'culvert') return this.#spawn(workload, [process.execPath, noWarning, plainProxy, application])
    const { template: name, command } = configured[proxy]
    const values = {
      NAME: subject,
      FOLDER: this.#folder,
      THREADS: threads,
      HTTP: ports.http,
      H2: ports.h2,
      APPLICATION: application,
    }
    return this.#spawn(workload, [...command, this.#write(`${subject}-${name}`, render(template(name), values))])
  }

  #address(workload: string): string {
    return this.#lab.plan.workloads.find((each) => workloadKey(each) === workload)!.addresses[0]
  }

  #write(name: string, text: string): string {
    const file = join(this.#folder, name)
    writeFileSync(file, text)
    return file
  }

  #spawn(workload: string, command: readonly string[]): number {
    const child = spawnInWorkload(
      this.#lab.selector,
      workload,
      [...unlimited, ...command],
      ['ignore', 'inherit', 'inherit'],
    )
    this.#children.push(child)
    child.once('exit', (code, signal) => {
      if (!this.#closing) this.#options.progress(`${command.join(' ')} ended with ${signal ?? `status ${code}`}`)
    })
    return child.pid!
  }

  async #waitAnswer(target: Target): Promise<void> {
    let last: unknown
    const answers = async (): Promise<boolean> => {
      this.#options.signal.throwIfAborted()
      try {
        await target.wrk({ path: '/1k', connections: 1, seconds: 1 })
        return true
      } catch (error: unknown) {
        last = error
        return false
      }
    }
    await waitUntil(`${target.name} answers`, answers, 30_000).catch((error: unknown) => {
      throw new MeshError('LAB_FAILED', `${target.name} does not answer: ${String(last)}`, { cause: error })
    })
  }
}

/** The workload of the application behind a subject. */
function applicationAt(subject: Subject): string {
  return workloadOf(subject, applicationOf(subject))
}

function template(name: string): string {
  return readFileSync(fileURLToPath(new URL(`./peers/${name}`, import.meta.url)), 'utf8')
}

function startLab({ workers, nodeOptions, progress, signal }: WorldOptions): Promise<Lab> {
  const node: Readonly<Record<string, string>> = nodeOptions.length === 0 ? {} : { NODE_OPTIONS: nodeOptions.join(' ') }
  const units = [...Object.values(hosts).map((host) => `daemon@${host}`), waypointUnit]
  return upLab({
    name: `benchw${process.pid}`,
    topology: waypointTopology(),
    objects: parse(waypointManifests),
    environment: Object.fromEntries(units.map((unit) => [unit, { CULVERT_WORKERS: String(workers), ...node }])),
    progress,
    signal,
  })
}
