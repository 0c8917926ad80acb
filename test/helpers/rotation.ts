// Steady traffic while certificates of 20 s are renewed again and again: the netns test runs it for a minute, the soak for ten.
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadReport } from '../../lab/load/load.ts'
import { type MeshLab, meshLab } from './mesh-lab.ts'
import { Held, service } from './scenario-world.ts'

const topology = `
hosts: [h1, h2]
workloads:
- {name: a, namespace: shop, serviceAccount: a, host: h1, labels: {app: a}, echo: {}}
- {name: b, namespace: shop, serviceAccount: b, host: h2, labels: {app: b}, echo: {}}
- {name: c, namespace: shop, serviceAccount: c, host: h1, labels: {app: c}, echo: {}}
`
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {culvert.dev/dataplane-mode: ambient}}
---
${service('shop', 'a', 'app: a', 'port: 8080')}
---
${service('shop', 'b', 'app: b', 'port: 8080')}
---
${service('shop', 'c', 'app: c', 'port: 8080')}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
`

/** Both directions between hosts, and inside one. */
const pairs = [
  ['a', 'b'],
  ['b', 'a'],
  ['b', 'c'],
  ['a', 'c'],
] as const

export interface PairFigures {
  readonly pair: string
  /** A connection per request. */
  readonly fresh: LoadReport
  /** All requests on one connection. */
  readonly kept: LoadReport
  /** Requests answered on a connection that was opened first and was idle in between. */
  readonly held: number
  readonly heldClosed: boolean
}

export interface RotationFigures {
  readonly durationMs: number
  readonly pairs: readonly PairFigures[]
  /** Certificates seen of each identity. */
  readonly certificates: Readonly<Record<string, number>>
  /** Processes of the mesh that did not live from beginning to end. */
  readonly restarted: readonly string[]
  /** What the processes complained of, for whoever looks into a failure. */
  readonly complaints: readonly string[]
}

export interface RotationOptions {
  readonly name: string
  readonly stateDir: string
  readonly durationMs: number
  readonly signal?: AbortSignal
  readonly progress?: (text: string) => void
}

/** Builds a lab with certificates of 20 s, keeps traffic going for `durationMs`, counts, and removes the lab. */
export async function rotateUnderLoad(options: RotationOptions): Promise<RotationFigures> {
  const { name, stateDir, durationMs } = options
  const mesh = await meshLab({ name, stateDir, topology, manifests, leafLifetime: '20s' })
  try {
    const pids = mesh.pids()
    const logs = new Map(Object.keys(pids).map((unit) => [unit, mesh.logSize(unit)]))
    const begin = performance.now()
    const watch = new SerialWatch(mesh)
    const running = await Promise.all(pairs.map((pair) => startPair(mesh, pair, durationMs)))
    const end = begin + durationMs
    let told = begin
    while (performance.now() < end && options.signal?.aborted !== true) {
      await watch.look()
      for (const { held } of running) await held.ask()
      await sleep(Math.min(1_000, Math.max(1, end - performance.now())))
      if (performance.now() - told < 60_000) continue
      told = performance.now()
      options.progress?.(`${Math.round((told - begin) / 1_000)} s: ${watch.text}`)
    }
    const figures = await Promise.all(running.map((pair) => pair.stop()))
    return {
      durationMs: Math.round(performance.now() - begin),
      pairs: figures,
      certificates: watch.counts,
      restarted: Object.entries(mesh.pids()).flatMap(([unit, pid]) => (pid === pids[unit] ? [] : [unit])),
      complaints: [...logs].flatMap(([unit, from]) => complaints(unit, mesh.logSince(unit, from))),
    }
  } finally {
    await mesh.close()
  }
}

async function startPair(mesh: MeshLab, [from, to]: readonly [string, string], durationMs: number) {
  const plan = { url: `http://${mesh.vip(`shop/${to}`)}:8080/`, durationMs: durationMs + 60_000 }
  const held = new HeldConnection(
    new Held(await mesh.open(`shop/${from}`, { address: mesh.vip(`shop/${to}`), port: 8080 })),
  )
  const fresh = mesh.startLoad(`${from}.shop`, { ...plan, fresh: true, pauseMs: 20 })
  const kept = mesh.startLoad(`${from}.shop`, { ...plan, pauseMs: 20 })
  return {
    held,
    stop: async (): Promise<PairFigures> => {
      const heldClosed = held.closed
      held.close()
      const [{ first: _, ...ofFresh }, { first: __, ...ofKept }] = await Promise.all([fresh.stop(), kept.stop()])
      return { pair: `${from} → ${to}`, fresh: ofFresh, kept: ofKept, held: held.answered, heldClosed }
    },
  }
}

/** One connection from beginning to end. */
class HeldConnection {
  readonly #held: Held
  answered = 0

  constructor(held: Held) {
    this.#held = held
  }

  get closed(): boolean {
    return this.#held.closed
  }

  async ask(): Promise<void> {
    if (await this.#held.works()) this.answered++
  }

  close(): void {
    this.#held.socket.destroy()
  }
}

class SerialWatch {
  readonly #mesh: MeshLab
  readonly #seen = new Map<string, Set<string>>()

  constructor(mesh: MeshLab) {
    this.#mesh = mesh
  }

  async look(): Promise<void> {
    for (const { name } of this.#mesh.lab.plan.hosts) {
      for (const [identity, serial] of await this.#mesh.serials(name)) {
        const serials = this.#seen.get(identity) ?? new Set()
        this.#seen.set(identity, serials.add(serial))
      }
    }
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#seen].map(([identity, serials]) => [identity, serials.size]))
  }

  get text(): string {
    return `certificates so far ${JSON.stringify(this.counts)}`
  }
}

/** The first warnings and errors of a log. */
function complaints(unit: string, log: string): readonly string[] {
  const lines = log.split('\n').filter((line) => /"level":"(warn|error|fatal)"/.test(line))
  return lines.slice(0, 20).map((line) => `${unit}: ${line.slice(0, 600)}`)
}

/** What went wrong; empty when nothing did. Each identity must have been renewed `rotations` times. */
export function rotationProblems(figures: RotationFigures, rotations: number): readonly string[] {
  const ofPairs = figures.pairs.flatMap(({ pair, fresh, kept, held, heldClosed }) => [
    ...(fresh.failed === 0 ? [] : [`${pair}: new connections failed: ${JSON.stringify(fresh.failures)}`]),
    ...(kept.failed === 0 ? [] : [`${pair}: the kept connection failed: ${JSON.stringify(kept.failures)}`]),
    ...(kept.connections === 1 ? [] : [`${pair}: ${kept.connections} connections where one should have lasted`]),
    ...(fresh.succeeded > 0 && kept.succeeded > 0 && held > 0 ? [] : [`${pair}: no requests were made`]),
    ...(heldClosed ? [`${pair}: the long-lived connection was closed`] : []),
  ])
  const identities = Object.entries(figures.certificates)
  const ofCertificates = identities
    .filter(([, count]) => count < rotations + 1)
    .map(([identity, count]) => `${identity} had ${count} certificates, expected ${rotations + 1} or more`)
  const ofProcesses = figures.restarted.map((unit) => `${unit} was restarted`)
  return [
    ...ofPairs,
    ...ofCertificates,
    ...ofProcesses,
    ...(identities.length >= 3 ? [] : ['not every workload has a certificate']),
  ]
}
