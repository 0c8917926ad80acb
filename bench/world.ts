// Everything that is measured, up and running: a lab, the application behind each subject, the peers, the load generators. Built by
// main.ts, which closes it; scenarios get its targets.
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MeshError } from '../core/base/errors.ts'
import { warmThreadPool } from '../core/net/sys.ts'
import type { WorkloadPlan } from '../lab/addressing.ts'
import { runCommand } from '../lab/command.ts'
import { downLab } from '../lab/down.ts'
import { spawnInWorkload } from '../lab/exec.ts'
import { stopUnit } from '../lab/faults.ts'
import { type Lab, upLab, waitUntil } from '../lab/lab.ts'
import { insideNamespace, netnsPath } from '../lab/network.ts'
import { getInside } from '../lab/probe.ts'
import { workloadKey } from '../lab/units.ts'
import { FakeCa } from '../test/helpers/fake-ca.ts'
import { parse } from '../test/helpers/netns-world.ts'
import { Generator, generatorCommand, Lines } from './generator.ts'
import {
  application,
  applicationAddress,
  type Configured,
  certificateFiles,
  type End,
  peerProcess,
  redirectRules,
  serverName,
} from './peers.ts'
import { benchManifests, benchTopology, hostsOf, isPeer, type Peer, type Subject, workloadOf } from './subjects.ts'
import { Target } from './target.ts'

export interface WorldOptions {
  readonly subjects: readonly Subject[]
  /** Peers that are measured without redirection too. */
  readonly uncaptured: readonly Peer[]
  /** Data workers of a daemon, threads or processes of a peer. */
  readonly workers: number
  /** For each daemon's Node. */
  readonly nodeOptions: readonly string[]
  readonly progress: (text: string) => void
  readonly signal: AbortSignal
}

const origin = fileURLToPath(new URL('./origin/main.ts', import.meta.url))
const baseline = new URL('./baseline/use.ts', import.meta.url).href

/** The same for everybody; Culvert's agent sets the first two where it captures. Closed connections leave the tables soon. */
const sysctls: Readonly<Record<string, string>> = {
  'net/ipv4/tcp_tw_reuse': '1',
  'net/ipv4/ip_local_port_range': '10240 65535',
  'net/netfilter/nf_conntrack_tcp_timeout_time_wait': '2',
}

export class World {
  readonly #options: WorldOptions
  readonly #lab: Lab
  readonly #folder: string
  readonly #children: ChildProcess[] = []
  readonly #targets: Target[] = []
  #closing = false
  /** What has ended although nobody ended it. */
  #ended: string | undefined

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

  /** In the order of the subjects; peers without capture follow. */
  get targets(): readonly Target[] {
    return this.#targets
  }

  async close(): Promise<void> {
    this.#closing = true
    for (const child of this.#children) child.kill('SIGTERM')
    // In order, so that a daemon that is being profiled writes what it has.
    if (this.#options.nodeOptions.length > 0) await this.#stopDaemons()
    await downLab(this.#lab.selector)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #stopDaemons(): Promise<void> {
    await Promise.all(this.#lab.plan.hosts.map((host) => stopUnit(this.#lab.selector, `daemon@${host.name}`)))
  }

  async #start(): Promise<void> {
    const { subjects, uncaptured, progress } = this.#options
    if (subjects.some(isPeer)) await writeCertificates(this.#folder)
    progress('starting the applications, the peers and the load generators')
    this.#targets.push(...(await Promise.all(subjects.map((subject) => this.#startSubject(subject)))))
    for (const peer of uncaptured) {
      const captured = this.#targets.find((target) => target.name === peer)
      if (captured !== undefined) this.#targets.push(captured.uncaptured(peer))
    }
    await Promise.all(this.#targets.map((target) => this.#waitAnswer(target)))
  }

  async #startSubject(subject: Subject): Promise<Target> {
    const [client, server] = [this.#workload(subject, 'client'), this.#workload(subject, 'server')]
    await Promise.all([client, server].map(({ netns }) => setSysctls(netns)))
    this.#startConfigured(subject, 'server', application(subject, this.#folder, 1))
    const ready = new Lines(
      this.#spawn(subject, 'server', [process.execPath, noWarning, origin, applicationAddress(subject)]),
    ).next(20_000)
    const serverAddress = server.addresses[0]
    const pids = isPeer(subject) ? await this.#startPeer(subject, serverAddress) : undefined
    const generate = () => new Generator(() => this.#spawn(subject, 'client', generatorCommand))
    const generator = generate()
    await Promise.all([ready, generator.ready()])
    return new Target({
      name: subject,
      selector: this.#lab.selector,
      client: workloadOf(subject, 'client'),
      netns: client.netns,
      serverAddress,
      generator,
      second: generate(),
      ...(pids === undefined ? {} : { peerPids: pids }),
      ...(subject.startsWith('culvert') ? { hosts: hostsOf(subject) } : {}),
    })
  }

  async #startPeer(peer: Peer, serverAddress: string): Promise<Readonly<Record<End, number>>> {
    const facts = { folder: this.#folder, serverAddress, threads: this.#options.workers }
    const server = this.#startConfigured(peer, 'server', peerProcess(peer, 'server', facts))
    const client = this.#startConfigured(peer, 'client', peerProcess(peer, 'client', facts))
    const netns = this.#workload(peer, 'client').netns
    const [command = '', ...args] = insideNamespace(netns, ['iptables-restore', '--noflush', '-w', '10'])
    await runCommand(command, args, { input: redirectRules(serverAddress) })
    return { client: client.pid!, server: server.pid! }
  }

  #startConfigured(subject: Subject, end: End, { file, text, command }: Configured): ChildProcess {
    writeFileSync(file, text)
    return this.#spawn(subject, end, command)
  }

  #spawn(subject: Subject, end: End, command: readonly string[]): ChildProcess {
    const child = spawnInWorkload(this.#lab.selector, workloadOf(subject, end), command, ['pipe', 'pipe', 'inherit'])
    this.#children.push(child)
    child.once('exit', (code, signal) => {
      if (this.#closing) return
      this.#ended = `${subject}: ${command.join(' ')} ended with ${signal ?? `status ${code}`}`
      this.#options.progress(this.#ended)
    })
    return child
  }

  #workload(subject: Subject, end: End): WorkloadPlan {
    return this.#lab.plan.workloads.find((workload) => workloadKey(workload) === workloadOf(subject, end))!
  }

  async #waitAnswer(target: Target): Promise<void> {
    const { host, port } = target.destination('http')
    const answers = async (): Promise<boolean> => {
      this.#options.signal.throwIfAborted()
      if (this.#ended !== undefined) throw new MeshError('LAB_FAILED', this.#ended)
      const answer = await getInside(target.netns, { address: host, port, path: '/' }).catch(() => undefined)
      return answer?.status === 200
    }
    await waitUntil(`${target.name} answers`, answers, 20_000)
  }
}

const noWarning = '--disable-warning=ExperimentalWarning'

function startLab({ subjects, workers, nodeOptions, progress, signal }: WorldOptions): Promise<Lab> {
  const topology = benchTopology(subjects)
  const old = new Set(subjects.includes('culvert-node-http2') ? hostsOf('culvert-node-http2') : [])
  const environment = topology.hosts.map((host) => {
    const options = [...nodeOptions, ...(old.has(host) ? [`--import=${baseline}`] : [])]
    const node: Readonly<Record<string, string>> =
      options.length === 0 ? {} : { NODE_OPTIONS: options.map(quoted).join(' ') }
    return [`daemon@${host}`, { CULVERT_WORKERS: String(workers), ...node }] as const
  })
  return upLab({
    name: `bench${process.pid}`,
    topology,
    objects: parse(benchManifests),
    environment: Object.fromEntries(environment),
    progress,
    signal,
  })
}

/** As Node reads NODE_OPTIONS. */
function quoted(word: string): string {
  return /[\s"\\]/.test(word) ? JSON.stringify(word) : word
}

async function setSysctls(netns: string): Promise<void> {
  const lines = Object.entries(sysctls).map(
    ([name, value]) => `[ ! -e /proc/sys/${name} ] || echo '${value}' > /proc/sys/${name}`,
  )
  await runCommand('nsenter', [`--net=${netnsPath(netns)}`, 'sh', '-ec', lines.join('\n')])
}

/** P-256 like the mesh's own, from an authority that lives as long as the run. */
async function writeCertificates(folder: string): Promise<void> {
  const ca = await FakeCa.create()
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const end of ['client', 'server'] as const) {
    const identity = `spiffe://cluster.local/ns/plain/sa/${end}`
    const leaf = await ca.leaf(identity, end === 'server' ? { dns: [serverName] } : {})
    writeFileSync(join(folder, certificateFiles[end]), `${leaf.chainPem}\n${leaf.keyPem}`, { mode: 0o600 })
    writeFileSync(join(folder, certificateFiles.authority), leaf.bundlePem)
  }
}
