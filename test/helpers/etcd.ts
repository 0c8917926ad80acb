// Real etcd clusters on loopback for tests: one or three members on free ports, their data in a temporary folder, ended by pid.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EtcdClient } from '../../control/store/etcd-client.ts'
import type { EtcdTls } from '../../control/store/etcd-transport.ts'

export interface EtcdClusterOptions {
  readonly members?: 1 | 3
  /** Further flags of every member. */
  readonly args?: readonly string[]
  /** `https` needs the flags of certificates in `args`, and `tls` to look at it. */
  readonly scheme?: 'http' | 'https'
  /** In the endpoints, for certificates of a name. */
  readonly host?: string
  readonly tls?: EtcdTls
}

const program = '/usr/bin/etcd'
const startMs = 30_000

export class EtcdMember {
  readonly endpoint: URL
  readonly name: string
  readonly #args: readonly string[]
  readonly #onExit = (): void => {
    this.#process?.kill('SIGKILL')
  }
  #process: ChildProcess | undefined
  #output = ''

  constructor(name: string, endpoint: URL, args: readonly string[]) {
    this.name = name
    this.endpoint = endpoint
    this.#args = args
  }

  get output(): string {
    return this.#output
  }

  /** Starts it, again with the data that it had. */
  start(): void {
    const child = spawn(program, this.#args, { stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (text: string) => {
      this.#output = (this.#output + text).slice(-20_000)
    })
    this.#process = child
    process.on('exit', this.#onExit)
  }

  /** SIGSTOP and SIGCONT freeze and thaw it. */
  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name)
  }

  async kill(name: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process
    this.#process = undefined
    process.off('exit', this.#onExit)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(name)
    await exit
  }
}

export class EtcdCluster {
  readonly members: readonly EtcdMember[]
  readonly #folder: string
  readonly #tls: EtcdTls | undefined

  private constructor(folder: string, members: readonly EtcdMember[], tls: EtcdTls | undefined) {
    this.#folder = folder
    this.members = members
    this.#tls = tls
  }

  /** Resolves once every member answers with the agreement of the cluster. */
  static async start(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    if (!existsSync(program))
      throw new Error(`${program} is missing: apt-get install --no-install-recommends etcd-server`)
    const { members = 1, args = [], scheme = 'http', host = '127.0.0.1' } = options
    const folder = mkdtempSync(join(tmpdir(), 'culvert-etcd-'))
    const names = Array.from({ length: members }, (_, index) => `m${index}`)
    const ports = await freePorts(2 * members)
    const peers = names.map((name, index) => `${name}=http://127.0.0.1:${ports[2 * index + 1]}`)
    const made = names.map((name, index) => {
      const client = `${scheme}://127.0.0.1:${ports[2 * index]}`
      const peer = `http://127.0.0.1:${ports[2 * index + 1]}`
      const flags = [
        ...['--name', name, '--data-dir', join(folder, name), '--log-level', 'warn', '--logger', 'zap'],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ...['--initial-cluster', peers.join(','), '--initial-cluster-token', folder],
      ]
      return new EtcdMember(name, new URL(`${scheme}://${host}:${ports[2 * index]}`), [...flags, ...args])
    })
    const cluster = new EtcdCluster(folder, made, options.tls)
    for (const member of made) member.start()
    try {
      await Promise.all(made.map((member) => cluster.ready(member)))
      return cluster
    } catch (error: unknown) {
      await cluster.close()
      throw error
    }
  }

  get endpoints(): readonly URL[] {
    return this.members.map(({ endpoint }) => endpoint)
  }

  /** Waits until a member takes part. */
  async ready(member: EtcdMember): Promise<void> {
    const client = new EtcdClient({ endpoints: [member.endpoint], ...(this.#tls && { tls: this.#tls }) })
    const until = AbortSignal.timeout(startMs)
    try {
      while (!(await client.isAlive(0, 'AA==', until))) {
        if (until.aborted) throw new Error(`etcd ${member.name} does not start:\n${member.output}`)
        await sleep(50)
      }
    } finally {
      client.close()
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()))
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Ports of loopback that were free a moment ago; all held at once, so that they differ. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports: number[] = []
  for (const server of servers) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address !== null && typeof address === 'object') ports.push(address.port)
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
