// The lab of the traffic tests and soaks: one caller, one called, each with a daemon of its own, and what those daemons weigh.
import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { abortable, deadline } from '../../core/base/deadline.ts'
import { MeshError } from '../../core/base/errors.ts'
import { spawnInWorkload } from '../../lab/exec.ts'
import { type MeshLab, type MeshLabOptions, meshLab } from './mesh-lab.ts'
import { trafficPorts } from './traffic/ports.ts'

const topology = `
hosts: [h1, h2]
workloads:
- {name: client, namespace: shop, serviceAccount: client, host: h1, labels: {app: client}}
- {name: server, namespace: shop, serviceAccount: server, host: h2, labels: {app: server}}
`
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {culvert.dev/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: shop}
spec:
  selector: {app: server}
  ipFamilyPolicy: RequireDualStack
  ports: [${Object.entries(trafficPorts)
    .map(([name, port]) => `{name: ${name.toLowerCase()}, port: ${port}}`)
    .join(', ')}]
`
const main = fileURLToPath(new URL('./traffic/main.ts', import.meta.url))

export interface Weight {
  readonly rssKib: number
  readonly descriptors: number
}

/** What a process holds now. */
export function weigh(pid: number): Weight {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  if (rss === undefined) throw new Error(`process ${pid} has no memory: it ended`)
  return { rssKib: Number(rss), descriptors: readdirSync(`/proc/${pid}/fd`).length }
}

export const daemons = ['daemon@h1', 'daemon@h2'] as const
export type DaemonUnit = (typeof daemons)[number]

export interface Watch extends Disposable {
  /** What each daemon weighed above its beginning when it was heaviest. */
  readonly growthKib: Readonly<Record<DaemonUnit, number>>
}

export type TrafficLabOptions = Pick<MeshLabOptions, 'drainTimeout' | 'leafLifetime'>

export class TrafficLab {
  readonly mesh: MeshLab
  readonly #children = new Set<ChildProcess>()

  private constructor(mesh: MeshLab) {
    this.mesh = mesh
  }

  /** Builds the lab and starts the server. The caller closes it. */
  static async up(name: string, stateDir: string, options: TrafficLabOptions = {}): Promise<TrafficLab> {
    const lab = new TrafficLab(await meshLab({ name, stateDir, topology, manifests, ...options }))
    try {
      await lab.start('server', 'serve', {}).line(20_000)
      return lab
    } catch (error: unknown) {
      await lab.close()
      throw error
    }
  }

  /** The service's address. */
  get host(): string {
    return this.mesh.vip('shop/server')
  }

  /** Starts a role of traffic/main.ts in a workload. */
  start(workload: 'client' | 'server', role: string, plan: object): Running {
    const child = spawnRole(this.mesh, workload, role, plan)
    this.#children.add(child)
    child.once('close', () => this.#children.delete(child))
    return new Running(role, child)
  }

  /** Runs a role in the client to its end and gives its report. */
  async run<T>(role: string, plan: object, timeoutMs: number): Promise<T> {
    return (await this.start('client', role, plan).line(timeoutMs)) as T
  }

  weights(): Readonly<Record<DaemonUnit, Weight>> {
    return { 'daemon@h1': this.weight('daemon@h1'), 'daemon@h2': this.weight('daemon@h2') }
  }

  weight(unit: string): Weight {
    const pid = this.mesh.pid(unit)
    if (pid === undefined) throw new Error(`${unit} is not running`)
    return weigh(pid)
  }

  /** Weighs the daemons again and again until it is disposed of. */
  watch(): Watch {
    const begin = this.weights()
    const growthKib = { 'daemon@h1': 0, 'daemon@h2': 0 }
    const look = (): void => {
      for (const unit of daemons) {
        growthKib[unit] = Math.max(growthKib[unit], this.weight(unit).rssKib - begin[unit].rssKib)
      }
    }
    const timer = setInterval(look, 100)
    return { growthKib, [Symbol.dispose]: () => clearInterval(timer) }
  }

  /** Connections that a host's daemon has open, of any kind. */
  async connections(host: 'h1' | 'h2'): Promise<number> {
    const line = /^culvert_connections (\d+)$/m.exec(await this.mesh.metrics(host))
    return Number(line?.[1])
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL')
    await this.mesh.close()
  }
}

function spawnRole(mesh: MeshLab, workload: string, role: string, plan: object): ChildProcess {
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', main, role, JSON.stringify(plan)]
  return spawnInWorkload(mesh.lab.selector, `${workload}.shop`, command, ['pipe', 'pipe', 'inherit'])
}

/** Runs a role of traffic/main.ts in a workload of any lab to its end and gives its report. */
export async function runRole(
  mesh: MeshLab,
  workload: string,
  role: string,
  plan: object,
  timeoutMs: number,
): Promise<unknown> {
  const child = spawnRole(mesh, workload, role, plan)
  try {
    return await new Running(role, child).line(timeoutMs)
  } finally {
    child.kill('SIGKILL')
  }
}

/** A role that runs: its lines, and orders for it. */
export class Running {
  readonly #role: string
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(role: string, child: ChildProcess) {
    this.#role = role
    this.#child = child
    const lines: Interface = createInterface({ input: child.stdout! })
    this.#lines = lines[Symbol.asyncIterator]()
    child.stdin!.on('error', () => {}) // it may end without reading its orders
  }

  /** The next line that it prints, as JSON. Rejects when it ends without one or takes longer. */
  async line(timeoutMs: number): Promise<unknown> {
    const late = (): MeshError => new MeshError('LAB_FAILED', `${this.#role} said nothing for ${timeoutMs} ms`)
    const { value, done } = await abortable(this.#lines.next(), deadline(timeoutMs), late)
    if (done === true) throw new MeshError('LAB_FAILED', `${this.#role} ended (${this.#child.exitCode}) without a word`)
    return JSON.parse(value)
  }

  async order(word: string, timeoutMs: number): Promise<unknown> {
    this.#child.stdin!.write(`${word}\n`)
    return this.line(timeoutMs)
  }
}
