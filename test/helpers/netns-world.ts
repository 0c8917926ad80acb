// The world of the scenarios as a lab: real namespaces, iptables, control, agents and daemons. Needs root.
import dgram from 'node:dgram'
import { once } from 'node:events'
import type net from 'node:net'
import dns from 'dns-packet'
import { applyObject, servedKind } from '../../cli/apply.ts'
import type { ApiClient } from '../../cli/client.ts'
import { deadline } from '../../core/base/deadline.ts'
import type { Explanation } from '../../core/model/explanation.ts'
import { serviceKind } from '../../core/model/kinds/core.ts'
import { parseManifests } from '../../core/model/manifest.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { type AddressFamily, familyOf, type SocketAddress } from '../../core/net/address.ts'
import { NetworkNamespace, udpSocket, warmThreadPool } from '../../core/net/sys.ts'
import type { WorkloadPlan } from '../../lab/addressing.ts'
import { downLab } from '../../lab/down.ts'
import { killUnit, waitRestarted } from '../../lab/faults.ts'
import { type Lab, labClient, upLab, waitUntil } from '../../lab/lab.ts'
import { meshParts, meshView, outOfStep } from '../../lab/mesh.ts'
import { netnsPath } from '../../lab/network.ts'
import { getInside, socketInside } from '../../lab/probe.ts'
import { waitReady } from '../../lab/ready.ts'
import { hostFolders } from '../../lab/units.ts'
import { removeWorkloadFile, writeWorkloadFile } from '../../lab/workload-file.ts'
import { cast, type LookupAnswer, type World } from './scenario-world.ts'

const convergeMs = 20_000

export async function netnsWorld(name: string): Promise<NetnsWorld> {
  await warmThreadPool()
  const workloads = cast.workloads.map((workload) => ({ ...workload, ports: {}, process: { kind: 'echo' } as const }))
  // Known to its host's grant from the start; it takes over the address of `reuse` in `reuseAddress`.
  const successor = {
    name: 'successor',
    namespace: 'mesh',
    serviceAccount: 'successor',
    host: 'h3',
    labels: {},
    ports: {},
  }
  const topology = {
    hosts: cast.hosts,
    workloads: [...workloads, { ...successor, process: { kind: 'idle' } as const }],
  }
  const lab = await upLab({ name, topology, objects: parse(cast.manifests) })
  const world = new NetnsWorld(lab)
  await world.converge()
  return world
}

export class NetnsWorld implements World {
  readonly ring = 'netns'
  readonly lab: Lab
  readonly client: ApiClient
  readonly #vips = new Map<string, readonly string[]>()
  readonly #past = new Map<string, number>()
  #plan: readonly WorkloadPlan[]

  constructor(lab: Lab) {
    this.lab = lab
    this.client = labClient(lab)
    this.#plan = lab.plan.workloads
  }

  async apply(manifests: string): Promise<void> {
    for (const object of parse(manifests)) await applyObject(this.client, object)
    await this.converge()
  }

  async remove(manifests: string): Promise<void> {
    for (const object of parse(manifests)) {
      await this.client.delete(servedKind(object), object.metadata.namespace ?? '', object.metadata.name)
    }
    await this.converge()
  }

  /** Resolves once every workload is as its labels ask, and every host has acknowledged all that the store holds by then. */
  async converge(): Promise<void> {
    await waitUntil(
      'the mesh converges',
      async () => (await outOfStep(this.client, this.#plan)) === undefined,
      convergeMs,
    )
    const { items } = await this.client.list(serviceKind)
    for (const { metadata, spec } of items) {
      const vips = (spec?.['clusterIPs'] as readonly string[] | undefined) ?? []
      this.#vips.set(`${metadata.namespace}/${metadata.name}`, vips)
    }
  }

  has(name: string): boolean {
    return this.#plan.some((workload) => `${workload.namespace}/${workload.name}` === name)
  }

  workload(name: string): WorkloadPlan {
    const found = this.#plan.find((workload) => `${workload.namespace}/${workload.name}` === name)
    if (found === undefined) throw new Error(`no workload ${name} in this world`)
    return found
  }

  address(workload: string, family: AddressFamily = 'ipv4'): string {
    return this.workload(workload).addresses.find((address) => familyOf(address) === family)!
  }

  vip(service: string, family: AddressFamily = 'ipv4'): string {
    const vip = this.#vips.get(service)?.find((address) => familyOf(address) === family)
    if (vip === undefined) throw new Error(`${service} has no ${family} address`)
    return vip
  }

  async explain(source: string, destination: string): Promise<Explanation> {
    const query = new URLSearchParams({ source, destination })
    return (await this.client.json('GET', `/culvert/v1/explain?${query}`)) as Explanation
  }

  async open(from: string, to: SocketAddress): Promise<net.Socket> {
    const socket = socketInside(this.workload(from).netns, to)
    try {
      await once(socket, 'connect', { signal: deadline(5_000) })
    } catch (error) {
      socket.on('error', () => {})
      socket.destroy()
      throw error
    }
    socket.on('error', () => {})
    return socket
  }

  async tunnelledInto(workload: string): Promise<number> {
    return (await this.#counted(workload)) + (this.#past.get(workload) ?? 0)
  }

  /** The text of a host's metrics endpoint. */
  async metrics(host: string): Promise<string> {
    const { netns } = this.lab.plan.hosts.find(({ name }) => name === host)!
    return (await getInside(netns, { address: '127.0.0.1', port: 15020, path: '/metrics' })).body
  }

  async #counted(workload: string): Promise<number> {
    const { host, name, namespace } = this.workload(workload)
    const wanted = [
      'reporter="destination"',
      'connection_security_policy="mutual_tls"',
      `destination_workload="${name}"`,
      `destination_workload_namespace="${namespace}"`,
    ]
    const lines = (await this.metrics(host)).split('\n')
    return lines
      .filter(
        (line) => line.startsWith('istio_tcp_connections_opened_total{') && wanted.every((text) => line.includes(text)),
      )
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  async lookup(from: string, name: string, type: 'A' | 'AAAA'): Promise<LookupAnswer> {
    const { netns, host } = this.workload(from)
    const resolver = this.lab.plan.hosts.find((candidate) => candidate.name === host)!.addresses[0]
    using namespace = NetworkNamespace.open(netnsPath(netns))
    const fd = namespace.run(() => udpSocket({ address: '0.0.0.0', port: 0 }))
    const socket = dgram.createSocket('udp4').bind({ fd })
    try {
      const query = dns.encode({ type: 'query', id: 7, flags: dns.RECURSION_DESIRED, questions: [{ type, name }] })
      const answered = once(socket, 'message', { signal: deadline(8_000) })
      socket.send(query, 53, resolver)
      const [message] = (await answered) as [Buffer]
      const answer = dns.decode(message)
      const addresses = (answer.answers ?? []).flatMap((entry) => (entry.type === type ? [String(entry.data)] : []))
      return { rcode: (answer as unknown as { rcode: string }).rcode, addresses }
    } finally {
      socket.close()
    }
  }

  async restartDaemon(host: string): Promise<void> {
    for (const { name, namespace, host: home } of this.#plan) {
      if (home !== host) continue
      const key = `${namespace}/${name}`
      this.#past.set(key, await this.tunnelledInto(key))
    }
    const before = killUnit(this.lab.selector, `daemon@${host}`)
    await waitRestarted(this.lab.selector, `daemon@${host}`, before)
    await waitReady(this.lab.paths, meshParts(this.client, { ...this.lab.plan, workloads: this.#plan }), convergeMs)
    await this.converge()
  }

  async reuseAddress(next: { readonly name: string; readonly serviceAccount: string }): Promise<void> {
    const former = this.workload('mesh/reuse')
    const host = this.lab.plan.hosts.find(({ name }) => name === former.host)!
    const folder = hostFolders(this.lab.paths, host.name).workloads
    const spec = { ...former.spec, ...next, labels: { app: next.name } }
    const successor = { ...former, name: next.name, spec }
    removeWorkloadFile(folder, former)
    writeWorkloadFile(folder, successor, host)
    const others = this.#plan.filter(
      ({ name, namespace }) => namespace !== 'mesh' || !['reuse', next.name].includes(name),
    )
    this.#plan = [...others, successor]
    await waitUntil(
      'the successor has the address',
      async () => {
        const { entries } = await meshView(this.client)
        const entry = entries.get(`${next.name}.mesh`)
        const listed = entry?.metadata.annotations?.['culvert.dev/addresses'] ?? ''
        return !entries.has('reuse.mesh') && listed.includes(former.addresses[0])
      },
      convergeMs,
    )
    await this.converge()
  }

  async close(): Promise<void> {
    this.client.close()
    await downLab(this.lab.selector)
  }
}

export function parse(manifests: string): readonly MeshObject[] {
  const { objects, problems } = parseManifests(manifests, 'scenario.yaml')
  if (problems.length > 0) throw new Error(JSON.stringify(problems))
  return objects.map(({ object }) => object)
}
