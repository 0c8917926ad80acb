// A real control plane in a process of its own, on the loopback: started, stopped, asked; its hosts joined.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ApiClient } from '../../cli/client.ts'
import { readConnection } from '../../cli/kubeconfig.ts'
import { deadline } from '../../core/base/deadline.ts'
import { joinMesh } from '../../core/feed/join.ts'
import { kindOf } from '../../core/model/kinds.ts'
import type { MeshStatus } from '../../core/model/mesh-status.ts'
import { cpuMicroseconds, processTree, residentBytes } from '../process-tree.ts'
import type { Credentials } from './agent.ts'
import { hostName, type MeshSize, namespaceNames, resourcesOf } from './mesh.ts'

const repository = join(import.meta.dirname, '../..')
const startMs = 60_000
/** Requests that are under way at once. */
const lanes = 8

export class Plane {
  readonly #stateDir = mkdtempSync(join(tmpdir(), 'culvert-bench-control-'))
  readonly #profile: string | undefined
  #process: ChildProcess | undefined
  #client: ApiClient | undefined
  #feed = { host: '127.0.0.1', port: 0 }

  constructor(profile: string | undefined) {
    this.#profile = profile
  }

  get feed(): { readonly host: string; readonly port: number } {
    return this.#feed
  }

  get #pids(): readonly number[] {
    return processTree(this.#process!.pid!)
  }

  /** Of the control plane so far. */
  get cpu(): number {
    return cpuMicroseconds(this.#pids)
  }

  get resident(): number {
    return residentBytes(this.#pids)
  }

  async start(): Promise<void> {
    const profiling = this.#profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${this.#profile}`]
    const flags = ['--state-dir', this.#stateDir, '--api-address', '127.0.0.1:0']
    const feed = ['--feed-address', `127.0.0.1:${this.#feed.port}`]
    const words = ['--disable-warning=ExperimentalWarning', ...profiling, join(repository, 'cli/main.ts')]
    const child = spawn(process.execPath, [...words, 'control', ...flags, ...feed], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process = child
    this.#feed = { host: '127.0.0.1', port: await feedPort(child) }
    this.#client = new ApiClient(readConnection({ kubeconfig: join(this.#stateDir, 'kubeconfig') }))
  }

  async stop(): Promise<void> {
    const child = this.#process
    this.#client?.close()
    this.#process = undefined
    if (child === undefined || child.exitCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  }

  async close(): Promise<void> {
    await this.stop()
    rmSync(this.#stateDir, { recursive: true, force: true })
  }

  async status(): Promise<MeshStatus> {
    return (await this.#client!.json('GET', '/culvert/v1/status')) as MeshStatus
  }

  /** Creates everything that people would. */
  async fill(size: MeshSize): Promise<void> {
    const [namespaces, others] = [
      resourcesOf(size).filter(isNamespace),
      resourcesOf(size).filter((o) => !isNamespace(o)),
    ]
    for (const objects of [namespaces, others]) {
      await each(objects, async (object) => {
        await this.#client!.create(kindOf(object.apiVersion, object.kind)!, object)
      })
    }
  }

  /** A token for each host, and what the host got for it. */
  async join(hosts: number): Promise<readonly Credentials[]> {
    const identities = namespaceNames().map((namespace) => `${namespace}/*`)
    const joined: Credentials[] = []
    await each(
      Array.from({ length: hosts }, (_, index) => index),
      async (index) => {
        const host = hostName(index)
        const answer = await this.#client!.json('POST', '/culvert/v1/tokens', { host, identities })
        const { token } = answer as { readonly token: string }
        joined[index] = await joinMesh({ control: this.#feed, host, token, signal: deadline(startMs) })
      },
    )
    return joined
  }
}

/** From the log, of which warnings and errors are passed on. */
function feedPort(child: ChildProcess): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.once('exit', () => reject(new Error('the control plane did not start')))
  const timer = setTimeout(() => reject(new Error('the control plane did not start in time')), startMs)
  createInterface({ input: child.stderr! }).on('line', (line) => {
    const said = line.startsWith('{') ? (JSON.parse(line) as { level?: string; feed?: { port: number } }) : {}
    if (said.feed !== undefined) resolve(said.feed.port)
    else if (said.level !== 'info') process.stderr.write(`${line}\n`)
  })
  return promise.finally(() => clearTimeout(timer))
}

function isNamespace({ kind }: { readonly kind: string }): boolean {
  return kind === 'Namespace'
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values()
  const lane = async (): Promise<void> => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}
