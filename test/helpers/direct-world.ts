// The world of the scenarios in one process: real TLS, HTTP/2, compile step and data planes, one per host; capture, namespaces
// and the control connection are played (direct-sockets.ts). No root needed.
import dgram from 'node:dgram'
import http from 'node:http'
import net from 'node:net'
import dns from 'dns-packet'
import { compile } from '../../control/compile/compile.ts'
import { deadline } from '../../core/base/deadline.ts'
import { nullLogger } from '../../core/base/log.ts'
import { MetricSet } from '../../core/base/metrics.ts'
import { explain } from '../../core/decide/explain/explain.ts'
import type { LocalWorkload } from '../../core/feed/handoff.ts'
import type { Explanation } from '../../core/model/explanation.ts'
import { parseManifests } from '../../core/model/manifest.ts'
import { ports } from '../../core/model/ports.ts'
import { formatObjectKey, type MeshObject } from '../../core/model/resource.ts'
import { Snapshot } from '../../core/model/snapshot.ts'
import type { CompiledResource } from '../../core/model/types.ts'
import { type AddressFamily, familyOf, type SocketAddress } from '../../core/net/address.ts'
import { DataPlane } from '../../daemon/data-plane.ts'
import { startDns } from '../../daemon/dns/server.ts'
import { DnsMetrics } from '../../daemon/telemetry/dns-counters.ts'
import { Fabric, FabricSockets } from './direct-sockets.ts'
import { FakeCa } from './fake-ca.ts'
import { meshSettings } from './model.ts'
import { cast, type LookupAnswer, type World } from './scenario-world.ts'

interface Member {
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly host: string
  readonly labels: Readonly<Record<string, string>>
  readonly addresses: readonly string[]
  readonly uid: string
}

interface Host {
  readonly plane: DataPlane
  readonly metrics: MetricSet
  /** DNS listener by workload uid. */
  readonly dns: Map<string, SocketAddress>
}

const compileSettings = { mesh: meshSettings, rootNamespaces: ['culvert-system'], istioLabels: true }

export async function directWorld(): Promise<World> {
  const world = new DirectWorld(await FakeCa.create())
  await world.start()
  return world
}

class DirectWorld implements World {
  readonly ring = 'direct'
  readonly #ca: FakeCa
  readonly #fabric = new Fabric()
  readonly #hosts = new Map<string, Host>()
  readonly #members = new Map<string, Member>()
  readonly #objects = new Map<string, MeshObject>()
  readonly #vips = new Map<string, readonly string[]>()
  readonly #apps: net.Server[] = []
  /** Tunnelled connections counted by planes that are gone. */
  readonly #past = new Map<string, number>()
  /** What the control plane would hold. */
  readonly #model = new Snapshot()
  #version = 0

  constructor(ca: FakeCa) {
    this.#ca = ca
  }

  async start(): Promise<void> {
    for (const [index, workload] of cast.workloads.entries()) {
      const { name, namespace, host } = workload
      const addresses = [`10.1.0.${index + 1}`, `fd00::${index + 1}`]
      this.#members.set(`${namespace}/${name}`, { ...workload, addresses, uid: `${host}/${namespace}/${name}/1` })
    }
    for (const member of this.#members.values()) await this.#serveApplication(member)
    for (const host of cast.hosts) this.#hosts.set(host, this.#makeHost())
    this.#take(cast.manifests)
    await this.#converge()
  }

  async apply(manifests: string): Promise<void> {
    this.#take(manifests)
    await this.#converge()
  }

  async remove(manifests: string): Promise<void> {
    for (const object of parse(manifests)) this.#objects.delete(keyOf(object))
    await this.#converge()
  }

  has(workload: string): boolean {
    return this.#members.has(workload)
  }

  async explain(source: string, destination: string): Promise<Explanation> {
    return explain(this.#model, { source, destination })
  }

  address(workload: string, family: AddressFamily = 'ipv4'): string {
    return pick(this.#member(workload).addresses, family)
  }

  vip(name: string, family: AddressFamily = 'ipv4'): string {
    return pick(this.#vips.get(name) ?? [], family)
  }

  async open(from: string, to: SocketAddress): Promise<net.Socket> {
    const source = this.#member(from)
    const own = pick(source.addresses, familyOf(to.address))
    const signal = deadline(5_000)
    // Traffic of a workload to its own addresses stays on its loopback, past the capture.
    if (source.addresses.includes(to.address)) return await this.#fabric.connect(to, own, signal)
    if (!this.#fabric.captured.has(own)) return await this.#fabric.deliver(to, own, signal)
    return await this.#fabric.connect({ address: own, port: ports.outbound }, own, signal, to)
  }

  async tunnelledInto(workload: string): Promise<number> {
    const { host } = this.#member(workload)
    return countTunnelled(this.#host(host).metrics, workload) + (this.#past.get(workload) ?? 0)
  }

  async lookup(from: string, name: string, type: 'A' | 'AAAA'): Promise<LookupAnswer> {
    const { host, uid } = this.#member(from)
    const at = this.#host(host).dns.get(uid)
    if (at === undefined) throw new Error(`${from} has no DNS`)
    const socket = dgram.createSocket('udp4')
    try {
      const query = dns.encode({ type: 'query', id: 7, flags: dns.RECURSION_DESIRED, questions: [{ type, name }] })
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
      socket.once('message', resolve).once('error', reject)
      deadline(8_000).addEventListener('abort', () => reject(new Error('no DNS answer')))
      socket.send(query, at.port, at.address)
      const answer = dns.decode(await promise)
      const addresses = (answer.answers ?? []).flatMap((entry) => (entry.type === type ? [String(entry.data)] : []))
      return { rcode: (answer as unknown as { rcode: string }).rcode, addresses }
    } finally {
      socket.close()
    }
  }

  async restartDaemon(name: string): Promise<void> {
    const old = this.#host(name)
    for (const workload of this.#members.keys()) {
      if (this.#member(workload).host !== name) continue
      this.#past.set(workload, (this.#past.get(workload) ?? 0) + countTunnelled(old.metrics, workload))
    }
    await old.plane.drain(0)
    this.#hosts.set(name, this.#makeHost())
    await this.#converge()
  }

  async reuseAddress(successor: { readonly name: string; readonly serviceAccount: string }): Promise<void> {
    const gone = this.#member('mesh/reuse')
    this.#members.delete('mesh/reuse')
    const { name } = successor
    this.#members.set(`mesh/${name}`, {
      ...gone,
      ...successor,
      labels: { app: name },
      uid: `${gone.host}/mesh/${name}/2`,
    })
    await this.#converge()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map(({ plane }) => plane.drain(0)))
    for (const app of this.#apps) app.close()
  }

  #member(name: string): Member {
    const member = this.#members.get(name)
    if (member === undefined) throw new Error(`no workload ${name} in this world`)
    return member
  }

  #host(name: string): Host {
    const host = this.#hosts.get(name)
    if (host === undefined) throw new Error(`no host ${name} in this world`)
    return host
  }

  async #serveApplication(member: Member): Promise<void> {
    const application = http.createServer((request, response) => {
      const { name: pod, namespace } = member
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ pod, namespace, remoteAddress: request.socket.remoteAddress }))
    })
    const accept = (socket: net.Socket): void => {
      application.emit('connection', socket)
    }
    this.#apps.push(await this.#fabric.listen(member.addresses, 8080, accept))
  }

  #makeHost(): Host {
    const metrics = new MetricSet()
    const listeners = new Map<string, SocketAddress>()
    const counters = new DnsMetrics(metrics)
    const plane = new DataPlane({
      sockets: new FabricSockets(this.#fabric),
      limits: { maxConnections: 1000, maxPending: 100, connectTimeoutMs: 5_000, establishTimeoutMs: 8_000 },
      drainMs: 0,
      metrics,
      log: nullLogger(),
      startDns: async (served, { snapshot, log }) => {
        const workload = { ...served.local, nameservers: [] }
        const server = await startDns({
          snapshot,
          workload,
          sockets: plainDnsSockets,
          counters: counters.for(workload),
          log,
          port: 0,
        })
        listeners.set(served.uid, server.udp[0]!)
        return server
      },
    })
    return { plane, metrics, dns: listeners }
  }

  #take(manifests: string): void {
    for (const object of parse(manifests)) {
      const { namespace = 'default', name } = object.metadata
      const key = keyOf(object)
      if (object.kind !== 'Service') {
        this.#objects.set(key, object)
        continue
      }
      const known = this.#vips.get(`${namespace}/${name}`)
      const number = this.#vips.size + 1
      const vips = known ?? [`240.240.0.${number}`, `2001:2::${number.toString(16)}`]
      this.#vips.set(`${namespace}/${name}`, vips)
      this.#objects.set(key, { ...object, spec: { ...object.spec, clusterIP: vips[0], clusterIPs: vips } })
    }
  }

  /** Compiles what there is and brings every plane to it, as control, feed and agent would. */
  async #converge(): Promise<void> {
    const entries = [...this.#members.values()].map((member) => workloadEntry(member, false))
    const enrolled = new Set(
      this.#compile(entries).flatMap((resource) =>
        resource.kind === 'Workload' && resource.value.enrolled ? [resource.key] : [],
      ),
    )
    const captured = [...this.#members.values()].filter(({ uid }) => enrolled.has(uid))
    const resources = this.#compile(
      [...this.#members.values()].map((member) => workloadEntry(member, enrolled.has(member.uid))),
    )
    this.#version++
    const delta = { epoch: 'direct', version: this.#version, full: true, upserts: resources, removes: [] }
    this.#model.apply(delta)
    for (const [name, { plane }] of this.#hosts) {
      const locals = captured.filter(({ host }) => host === name).map((member) => localWorkload(member))
      for (const { identity } of locals) plane.setCertificate(await this.#ca.leaf(identity))
      const refused = plane.apply(delta)
      if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused)}`)
      const failed = await plane.setWorkloads(locals)
      if (Object.keys(failed).length > 0) throw new Error(`failed: ${JSON.stringify(failed)}`)
    }
    this.#fabric.captured.clear()
    for (const { addresses } of captured) for (const address of addresses) this.#fabric.captured.add(address)
  }

  #compile(entries: readonly MeshObject[]): readonly CompiledResource[] {
    return compile([...this.#objects.values(), ...entries], compileSettings).resources
  }
}

const plainDnsSockets = {
  udp: async (address: string, port: number) => {
    const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4')
    await new Promise<void>((resolve) => socket.bind(port, address, resolve))
    return socket
  },
  tcp: async (address: string, port: number) => {
    const server = net.createServer({ allowHalfOpen: true })
    await new Promise<void>((resolve) => server.listen(port, address, resolve))
    return server
  },
  forwardUdp: (): never => {
    throw new Error('nothing is forwarded here')
  },
  deafen: (): void => {},
  connectTcp: async (): Promise<never> => {
    throw new Error('nothing is forwarded here')
  },
}

function parse(manifests: string): readonly MeshObject[] {
  const { objects, problems } = parseManifests(manifests, 'scenario.yaml')
  if (problems.length > 0) throw new Error(JSON.stringify(problems))
  return objects.map(({ object }) => object)
}

function keyOf(object: MeshObject): string {
  const { name, namespace = object.kind === 'Namespace' ? '' : 'default' } = object.metadata
  return formatObjectKey({ group: object.apiVersion.split('/').at(-2) ?? '', kind: object.kind, namespace, name })
}

function workloadEntry(member: Member, captured: boolean): MeshObject {
  const { name, namespace, serviceAccount, labels, addresses, host, uid } = member
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: {
      name,
      namespace,
      uid,
      annotations: {
        'culvert.dev/workload-uid': uid,
        'culvert.dev/node': host,
        'culvert.dev/addresses': addresses.join(','),
        ...(captured ? { 'culvert.dev/redirection': 'enabled' } : {}),
      },
    },
    spec: { address: addresses[0], serviceAccount, labels },
  }
}

function localWorkload(member: Member): LocalWorkload {
  const { uid, namespace, name, serviceAccount, addresses } = member
  return {
    uid,
    namespace,
    name,
    identity: `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`,
    addresses,
    netns: { path: '/nowhere', inode: 1 },
    nameservers: [],
  }
}

function pick(addresses: readonly string[], family: AddressFamily): string {
  const found = addresses.find((address) => familyOf(address) === family)
  if (found === undefined) throw new Error(`no ${family} address among ${addresses.join(', ')}`)
  return found
}

/** From the metrics that the daemon exposes: connections that entered the workload through a tunnel. */
function countTunnelled(metrics: MetricSet, workload: string): number {
  const [namespace, name] = workload.split('/')
  let total = 0
  for (const family of metrics.snapshot().families) {
    if (family.name !== 'istio_tcp_connections_opened_total') continue
    for (const { labels, value } of family.samples) {
      const label = (wanted: string): string | undefined => labels[family.labelNames.indexOf(wanted)]
      const matches =
        label('reporter') === 'destination' &&
        label('connection_security_policy') === 'mutual_tls' &&
        label('destination_workload') === name &&
        label('destination_workload_namespace') === namespace
      if (matches) total += value
    }
  }
  return total
}
