// Replicas of the control plane as processes of their own on a real etcd cluster, and hosts that are connected to them. Used by the
// replica tests and the soak.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { nullLogger } from '../../core/base/log.ts'
import { explain } from '../../core/decide/explain/explain.ts'
import { viewOf } from '../../core/decide/explain/live.ts'
import { FeedClient } from '../../core/feed/client.ts'
import { joinMesh } from '../../core/feed/join.ts'
import { Snapshot } from '../../core/model/snapshot.ts'
import type { CompiledDelta } from '../../core/model/types.ts'
import { type Answer, api, type Credentials, token, until } from './control-world.ts'
import { EtcdCluster, freePorts } from './etcd.ts'

export const passphrase = 'a passphrase of the replica tests'
const main = join(import.meta.dirname, '../../cli/main.ts')

/** One control plane process that can be killed and started again at the same addresses. */
export class ReplicaProcess {
  readonly stateDir: string
  readonly feedPort: number
  readonly #apiPort: number
  readonly #endpoints: string
  readonly #more: Readonly<Record<string, string>>
  #child: ChildProcess | undefined
  #output = ''

  /** `ports`: of the API and of the feed, on loopback; `more`: flags that replace or add to those. */
  constructor(
    stateDir: string,
    ports: readonly [number, number],
    endpoints: string,
    more: Readonly<Record<string, string>> = {},
  ) {
    this.stateDir = stateDir
    this.#apiPort = ports[0]
    this.feedPort = ports[1]
    this.#endpoints = endpoints
    this.#more = more
  }

  get output(): string {
    return this.#output
  }

  /** Runs `culvert` with this replica as its control plane. */
  async culvert(
    ...words: readonly string[]
  ): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
    const options = ['--state-dir', this.stateDir]
    const child = spawn(process.execPath, [main, ...words, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [stdout, stderr, [code]] = await Promise.all([
      readText(child.stdout),
      readText(child.stderr),
      once(child, 'close'),
    ])
    return { code: code as number | null, stdout, stderr }
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  async start(): Promise<void> {
    const flags = {
      'state-dir': this.stateDir,
      store: 'etcd',
      'etcd-endpoints': this.#endpoints,
      'api-address': `127.0.0.1:${this.#apiPort}`,
      'feed-address': `127.0.0.1:${this.feedPort}`,
      'log-level': 'info',
      ...this.#more,
    }
    const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
    const env = { ...process.env, CULVERT_CA_PASSPHRASE: passphrase }
    const child = spawn(process.execPath, [main, 'control', ...words], { stdio: ['ignore', 'pipe', 'pipe'], env })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-50_000)
      })
    }
    this.#child = child
    await until(`a replica that is ready: ${this.#output}`, async () => {
      if (child.exitCode !== null) throw new Error(`the replica ended: ${this.#output}`)
      if (!existsSync(join(this.stateDir, 'api.json'))) return false
      return (await this.call('GET', '/readyz').catch(() => undefined))?.status === 200
    })
  }

  call(method: string, path: string, body?: object): Promise<Answer> {
    return api(this.stateDir, method, path, body)
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  /** Resolves once the process has ended. */
  async kill(name: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(name)
    await exit
  }
}

/** A host that knows of all replicas and keeps count of the time without one. */
export class ReplicatedHost {
  readonly name: string
  readonly client: FeedClient
  readonly snapshot = new Snapshot()
  readonly deltas: CompiledDelta[] = []
  /** Longest time between the end of a connection and the welcome of the next. */
  longestGapMs = 0
  #goneAt: number | undefined

  constructor(name: string, controls: readonly { host: string; port: number }[], credentials: Credentials) {
    this.name = name
    this.client = new FeedClient({
      controls,
      host: name,
      build: 'test',
      trustDomain: credentials.trustDomain,
      credentials: () => credentials,
      resume: () => {
        const { epoch, version } = this.snapshot
        return epoch === '' ? undefined : { epoch, version, digest: this.snapshot.digest() }
      },
      digests: () => this.snapshot.digests(),
      explain: async (question) => viewOf(explain(this.snapshot, question), new Map()),
      log: nullLogger(),
    })
    this.client.on('delta', (delta) => {
      this.deltas.push(delta)
      this.client.acknowledge(delta.epoch, delta.version, this.snapshot.apply(delta))
    })
    this.client.on('state', ({ kind }) => {
      if (kind === 'waiting') this.#goneAt ??= performance.now()
      if (kind !== 'connected' || this.#goneAt === undefined) return
      this.longestGapMs = Math.max(this.longestGapMs, performance.now() - this.#goneAt)
      this.#goneAt = undefined
    })
  }

  get connected(): boolean {
    return this.client.state.kind === 'connected'
  }
}

export class ReplicaWorld {
  readonly etcd: EtcdCluster
  readonly replicas: readonly ReplicaProcess[]
  readonly hosts: ReplicatedHost[] = []
  readonly #folder: string

  private constructor(etcd: EtcdCluster, replicas: readonly ReplicaProcess[], folder: string) {
    this.etcd = etcd
    this.replicas = replicas
    this.#folder = folder
  }

  /** Three replicas on an etcd of three members, all at work. */
  static async start(): Promise<ReplicaWorld> {
    const etcd = await EtcdCluster.start({ members: 3 })
    const folder = await mkdtemp(join(tmpdir(), 'culvert-replicas-'))
    const ports = await freePorts(6)
    const endpoints = etcd.endpoints.map(({ origin }) => origin).join(',')
    const replicas = [0, 1, 2].map(
      (index) => new ReplicaProcess(join(folder, `r${index}`), [ports[2 * index]!, ports[2 * index + 1]!], endpoints),
    )
    const world = new ReplicaWorld(etcd, replicas, folder)
    try {
      await Promise.all(replicas.map((replica) => replica.start()))
      return world
    } catch (error: unknown) {
      await world.close()
      throw error
    }
  }

  get feeds(): readonly { readonly host: string; readonly port: number }[] {
    return this.replicas.map(({ feedPort }) => ({ host: '127.0.0.1', port: feedPort }))
  }

  /** Joins hosts, each with a token of one replica at another one, and connects them. */
  async addHosts(count: number): Promise<void> {
    for (let index = this.hosts.length; count > 0; count--, index++) {
      const name = `host-${index}`
      const text = await token(this.replicas[index % 3]!.stateDir, name, ['shop/orders'])
      const control = this.feeds[(index + 1) % 3]!
      const credentials = await joinMesh({ control, host: name, token: text, signal: AbortSignal.timeout(30_000) })
      this.hosts.push(new ReplicatedHost(name, this.feeds, credentials))
    }
    for (const { client, connected } of this.hosts) if (!connected) client.start()
    await until('all hosts have a state', () => this.hosts.every(({ deltas }) => deltas.length > 0))
  }

  /** The id of the replica that a host is connected to. */
  async replicaOf(asked: ReplicaProcess, { name }: ReplicatedHost): Promise<string> {
    return until(`the replica of ${name}`, async () => {
      const { body } = await asked.call('GET', '/culvert/v1/status')
      const hosts = body['hosts'] as readonly { readonly host: string; readonly replica?: string }[]
      return hosts.find(({ host }) => host === name)?.replica
    })
  }

  /** The replica that leads, as the others see it. */
  async leader(): Promise<ReplicaProcess> {
    return until('a leader', async () => {
      for (const replica of this.replicas) {
        if (!replica.running) continue
        const { body } = await replica.call('GET', '/culvert/v1/status')
        const known = body['replicas'] as readonly { feed: readonly { port: number }[]; leads: boolean }[]
        const port = known.find(({ leads }) => leads)?.feed[0]?.port
        const found = this.replicas.find(({ feedPort, running }) => running && feedPort === port)
        if (found !== undefined) return found
      }
      return undefined
    })
  }

  /** Writes a Service through a replica; resolves once every host has it. @returns how long that took */
  async change(through: ReplicaProcess, name: string): Promise<number> {
    const startedAt = performance.now()
    const spec = { ports: [{ port: 80 }], selector: { app: name } }
    const body = { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec }
    const { status } = await through.call('POST', '/api/v1/namespaces/default/services', body)
    if (status !== 201) throw new Error(`the write was answered with ${status}`)
    await until(`service ${name} at every host`, () =>
      this.hosts.every(({ snapshot }) => [...snapshot.services()].some((service) => service.name === name)),
    )
    return performance.now() - startedAt
  }

  async close(): Promise<void> {
    await Promise.all(this.hosts.map(({ client }) => client.close()))
    for (const replica of this.replicas) replica.signal('SIGCONT')
    await Promise.all(this.replicas.map((replica) => replica.kill('SIGKILL')))
    await this.etcd.close()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
