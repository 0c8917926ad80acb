// A small mesh in one thread for direct tests: data planes (one per host) on loopback sockets, real TLS and HTTP/2 between
// them, a fake CA, a model that tests change resource by resource.
import { once } from 'node:events'
import type net from 'node:net'
import { deadline } from '../../core/base/deadline.ts'
import { type Logger, nullLogger } from '../../core/base/log.ts'
import { type MetricFamilySnapshot, MetricSet } from '../../core/base/metrics.ts'
import type { LocalWorkload } from '../../core/feed/handoff.ts'
import { workloadIdentity } from '../../core/model/canonical.ts'
import { serviceKey } from '../../core/model/snapshot.ts'
import type {
  Authorization,
  CompiledKey,
  CompiledResource,
  RefusedResource,
  Service,
  Workload,
} from '../../core/model/types.ts'
import { DataPlane, type DataPlaneOptions } from '../../daemon/data-plane.ts'
import { FakeCa } from './fake-ca.ts'
import { LoopbackSockets } from './loopback-sockets.ts'

export const clusterDomain = 'svc.cluster.local'

/** A workload with sensible values; `name` also names its service account. */
export function workload(name: string, address: string, change: Partial<Workload> = {}): Workload {
  return {
    uid: `host/mesh/${name}/1`,
    name,
    namespace: 'mesh',
    serviceAccount: name,
    trustDomain: 'cluster.local',
    node: 'host',
    addresses: [address],
    labels: { app: name },
    enrolled: true,
    protocol: 'HBONE',
    health: 'healthy',
    locality: '',
    weight: 1,
    services: [],
    peerAuthentication: { mode: 'PERMISSIVE', ports: {} },
    authorizations: [],
    ...change,
  }
}

/** A service on `port` whose members name it in their `services`. */
export function service(name: string, vip: string, port: number): Service {
  return {
    namespace: 'mesh',
    name,
    hostname: `${name}.mesh.${clusterDomain}`,
    vips: [vip],
    headless: false,
    ports: [{ name: 'tcp', port, protocol: 'TCP' }],
    identities: [],
    loadBalancing: 'random',
  }
}

/** Membership in `service(name)`, from its port to the workload's. */
export function memberOf(name: string, port: number, target = port): Workload['services'][number] {
  return { service: `mesh/${name}.mesh.${clusterDomain}`, ports: { [String(port)]: target } }
}

/** Allows, in the whole namespace, only these service accounts of it. */
export function allowOnly(...accounts: readonly string[]): Authorization {
  const principals = accounts.map((name) => ({ kind: 'exact' as const, value: `cluster.local/ns/mesh/sa/${name}` }))
  return {
    namespace: 'mesh',
    name: 'allow-only',
    scope: 'namespace',
    action: 'ALLOW',
    rules: accounts.length === 0 ? [] : [{ index: 0, clauses: [[{ principals }]] }],
    dryRun: false,
  }
}

export function resourceOf(value: Workload | Service | Authorization): CompiledResource {
  if ('uid' in value) return { kind: 'Workload', key: value.uid, value }
  if ('hostname' in value) return { kind: 'Service', key: serviceKey(value), value }
  return { kind: 'Authorization', key: `${value.namespace}/${value.name}`, value }
}

export interface Host {
  readonly plane: DataPlane
  readonly metrics: MetricSet
}

export class PlaneWorld {
  readonly ca: FakeCa
  readonly sockets = new LoopbackSockets()
  readonly hosts: Host[] = []
  readonly #resources = new Map<string, CompiledResource>()
  #version = 0

  private constructor(ca: FakeCa) {
    this.ca = ca
    this.#put({
      kind: 'Mesh',
      key: 'mesh',
      value: {
        trustDomain: 'cluster.local',
        clusterName: 'test',
        rootNamespace: 'culvert-system',
        vipRanges: ['240.240.0.0/16', '2001:2::/48'],
        serviceDomain: clusterDomain,
      },
    })
  }

  static async create(): Promise<PlaneWorld> {
    return new PlaneWorld(await FakeCa.create())
  }

  /** A daemon of another host. */
  host(change: Partial<DataPlaneOptions> = {}, log: Logger = nullLogger()): Host {
    const metrics = new MetricSet()
    const plane = new DataPlane({
      sockets: this.sockets,
      limits: { maxConnections: 1000, maxPending: 100, connectTimeoutMs: 5000, establishTimeoutMs: 8000 },
      drainMs: 1000,
      metrics,
      log,
      ...change,
    })
    const host = { plane, metrics }
    plane.apply(this.#delta(true, [...this.#resources.values()], []))
    this.hosts.push(host)
    return host
  }

  /** Has a host serve a workload that the model has. */
  async serve({ plane }: Host, served: Workload, change: Partial<LocalWorkload> = {}): Promise<LocalWorkload> {
    const identity = workloadIdentity(served)
    const local: LocalWorkload = {
      uid: served.uid,
      namespace: served.namespace,
      name: served.name,
      identity,
      addresses: served.addresses,
      netns: { path: '/none', inode: 1 },
      nameservers: [],
      ...change,
    }
    plane.setCertificate(await this.ca.leaf(identity))
    await plane.addWorkload(local)
    return local
  }

  /** Changes the model of every host at once. */
  apply(
    values: readonly (Workload | Service | Authorization)[],
    removes: readonly CompiledKey[] = [],
  ): readonly RefusedResource[] {
    const resources = values.map(resourceOf)
    for (const resource of resources) this.#put(resource)
    for (const { kind, key } of removes) this.#resources.delete(`${kind}/${key}`)
    const delta = this.#delta(false, resources, removes)
    return this.hosts.flatMap(({ plane }) => plane.apply(delta))
  }

  #put(resource: CompiledResource): void {
    this.#resources.set(`${resource.kind}/${resource.key}`, resource)
  }

  #delta(full: boolean, upserts: readonly CompiledResource[], removes: readonly CompiledKey[]) {
    if (!full) this.#version++
    return { epoch: 'test', version: this.#version, full, upserts, removes }
  }

  async close(): Promise<void> {
    await Promise.all(this.hosts.map(({ plane }) => plane.drain(0)))
    this.sockets.stop()
  }
}

/** Sum of a counter over the series whose labels contain all of `labels`. */
export function counter({ plane, metrics }: Host, name: string, labels: Readonly<Record<string, string>> = {}): number {
  plane.flushMetrics()
  const family = metrics.snapshot().families.find((candidate) => candidate.name === name)
  if (family === undefined) return 0
  return family.samples
    .filter((sample) => Object.entries(labels).every(([key, value]) => labelOf(family, sample.labels, key) === value))
    .reduce((sum, { value }) => sum + value, 0)
}

function labelOf(family: MetricFamilySnapshot, values: readonly string[], name: string): string | undefined {
  return values[family.labelNames.indexOf(name)]
}

const waitMs = 8000

/** Everything until the other side ends; rejects on a reset. */
export async function readAll(socket: net.Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'end', { signal: deadline(waitMs) })
  return Buffer.concat(chunks).toString()
}

/** The next bytes, `length` of them. */
export async function readExactly(socket: net.Socket, length: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  while (size < length) {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) {
      if (socket.destroyed || socket.readableEnded) throw new Error('closed')
      await readableOrEnded(socket)
    } else {
      chunks.push(chunk)
      size += chunk.length
    }
  }
  return Buffer.concat(chunks).toString()
}

async function readableOrEnded(socket: net.Socket): Promise<void> {
  const settled = new AbortController()
  const signal = AbortSignal.any([deadline(waitMs), settled.signal])
  try {
    await Promise.race([once(socket, 'readable', { signal }), once(socket, 'end', { signal })])
  } finally {
    settled.abort()
  }
}

/** How a connection ended without being asked to: `reset` (also while it was being made) or `end`. */
export async function ending(connection: net.Socket | Promise<net.Socket>): Promise<'reset' | 'end'> {
  let socket: net.Socket
  try {
    socket = await connection
  } catch (error: unknown) {
    if ((error as { code?: unknown }).code === 'ECONNRESET') return 'reset'
    throw error
  }
  if (socket.errored) return 'reset'
  socket.resume()
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the connection is still open')), waitMs)
    const settle = (how: 'reset' | 'end'): void => {
      clearTimeout(timer)
      resolve(how)
    }
    socket.once('error', () => settle('reset'))
    socket.once('end', () => settle('end'))
  })
}

/** Waits until `condition` holds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + waitMs
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${waitMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
