// A lab whose service `orders` stands behind a waypoint, for the netns tests and soaks of layer 7: calls and loads from its clients,
// what really arrived at each instance, endpoints that come and go, replicas of the waypoint that are restarted.
import { randomUUID } from 'node:crypto'
import { applyObject } from '../../cli/apply.ts'
import type { Answered, Call, CallResult } from '../../lab/calls/call.ts'
import { type BatchOptions, callsFrom } from '../../lab/calls/in-workload.ts'
import type { SeriesCount } from '../../lab/echo/counts.ts'
import { killUnit, releaseUnit, stopUnit, unitProcess, waitRestarted } from '../../lab/faults.ts'
import { waitUntil } from '../../lab/lab.ts'
import type { RunningLoad } from '../../lab/load/in-workload.ts'
import type { LoadPlan, LoadReport } from '../../lab/load/load.ts'
import { meshParts } from '../../lab/mesh.ts'
import { getInside } from '../../lab/probe.ts'
import { waitReady } from '../../lab/ready.ts'
import { hostFolders } from '../../lab/units.ts'
import { waypointUnitName } from '../../lab/waypoints.ts'
import { removeWorkloadFile, writeWorkloadFile } from '../../lab/workload-file.ts'
import { type MeshLab, meshLab } from './mesh-lab.ts'
import { parse } from './netns-world.ts'

export const instances = ['orders-1', 'orders-2', 'orders-3', 'orders-4'] as const
export type Instance = (typeof instances)[number] | 'shadow'

/** orders-1 and orders-2 are version v1, the others v2. */
function topology(replicas: number): string {
  const orders = instances.map(
    (name, index) =>
      `- {name: ${name}, namespace: shop, serviceAccount: orders, host: h${2 + (index % 2)}, labels: {app: orders, version: v${index < 2 ? 1 : 2}}, echo: {}}`,
  )
  return `
hosts: [h1, h2, h3]
workloads:
- {name: client, namespace: shop, serviceAccount: client, host: h1, labels: {app: client}}
- {name: second, namespace: shop, serviceAccount: second, host: h1, labels: {app: second}}
${orders.join('\n')}
- {name: shadow, namespace: shop, serviceAccount: shadow, host: h3, labels: {app: shadow}, echo: {}}
waypoints:
- {name: waypoint, namespace: shop, host: h2, replicas: ${replicas}}
`
}

const ports = '[{name: http, port: 80, targetPort: 8080}, {name: grpc, port: 7070}]'
const service = (name: string, selector: string): string => `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop}
spec: {selector: {${selector}}, ports: ${ports}}
`
const manifests = `apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {culvert.dev/dataplane-mode: ambient, culvert.dev/use-waypoint: waypoint}
${service('orders', 'app: orders')}${service('first', 'app: orders, version: v1')}${service('shadow', 'app: shadow')}`

export class WaypointLab {
  readonly mesh: MeshLab

  private constructor(mesh: MeshLab) {
    this.mesh = mesh
  }

  /** The caller closes it. */
  static async up(name: string, stateDir: string, replicas = 1): Promise<WaypointLab> {
    return new WaypointLab(
      await meshLab({ name, stateDir, topology: topology(replicas), manifests, drainTimeout: '10s' }),
    )
  }

  /** Applies resources of namespace shop; resolves once they are in force everywhere. */
  apply(resources: string): Promise<void> {
    return this.mesh.apply(resources)
  }

  /** As `apply`, without waiting for anybody to have it. */
  async put(resources: string): Promise<void> {
    for (const object of parse(resources)) await applyObject(this.mesh.client, object)
  }

  /** Applies resources, runs `work`, and removes them again. */
  async with<T>(resources: string, work: () => Promise<T>): Promise<T> {
    await this.apply(resources)
    try {
      return await work()
    } finally {
      await this.mesh.remove(resources)
    }
  }

  calls(calls: readonly Call[], options: BatchOptions = {}, from = 'client'): Promise<readonly CallResult[]> {
    return callsFrom(this.mesh.lab.selector, `${from}.shop`, calls, options)
  }

  async call(call: Call, from = 'client'): Promise<CallResult> {
    const [result] = await this.calls([call], {}, from)
    return result!
  }

  /** As `call`, and it must be answered. */
  async answered(call: Call, from = 'client'): Promise<Answered> {
    const result = await this.call(call, from)
    if (result.kind !== 'answered') throw new Error(JSON.stringify(result))
    return result
  }

  load(plan: LoadPlan, from = 'client'): Promise<LoadReport> {
    return this.mesh.load(`${from}.shop`, plan)
  }

  startLoad(plan: LoadPlan, from = 'client'): RunningLoad {
    return this.mesh.startLoad(`${from}.shop`, plan)
  }

  /** What an instance itself says that it got of a series, asked past every proxy. */
  async counted(instance: Instance, uuid: string): Promise<SeriesCount> {
    const { netns } = this.mesh.workload(`shop/${instance}`)
    const { body } = await getInside(netns, { address: '127.0.0.1', port: 8080, path: `/counts?uuid=${uuid}` })
    return JSON.parse(body) as SeriesCount
  }

  /** Requests of a series by instance, without those that got none. */
  async arrived(uuid: string): Promise<Readonly<Record<string, number>>> {
    const counts = await Promise.all(
      instances.map(async (each) => [each, (await this.counted(each, uuid)).requests] as const),
    )
    return Object.fromEntries(counts.filter(([, requests]) => requests > 0))
  }

  /** Of all instances of `orders`. */
  async total(uuid: string): Promise<number> {
    return Object.values(await this.arrived(uuid)).reduce((sum, count) => sum + count, 0)
  }

  /** Its workload leaves the mesh while its process goes on, as a Pod that is terminating: resolves once nobody sends to it. */
  async leave(instance: Instance): Promise<void> {
    const { folder, plan } = this.#place(instance)
    removeWorkloadFile(folder, plan)
    const gone = async (): Promise<boolean> => !(await this.#entries()).has(instance)
    await waitUntil(`${instance} has left`, gone, 20_000)
  }

  async join(instance: Instance): Promise<void> {
    const { folder, plan, host } = this.#place(instance)
    writeWorkloadFile(folder, plan, host)
    await this.mesh.converge()
  }

  /** kill -9 of its process; resolves once its successor serves. */
  async kill(instance: Instance): Promise<void> {
    const { selector } = this.mesh.lab
    const unit = `${instance}.shop`
    await waitRestarted(selector, unit, killUnit(selector, unit))
    const serves = (): Promise<boolean> =>
      this.counted(instance, 'none').then(
        () => true,
        () => false,
      )
    await waitUntil(`${instance} serves again`, serves, 20_000)
  }

  #place(instance: Instance) {
    const plan = this.mesh.workload(`shop/${instance}`)
    const host = this.mesh.hostOf(`shop/${instance}`)
    return { plan, host, folder: hostFolders(this.mesh.lab.paths, host.name).workloads }
  }

  async #entries(): Promise<ReadonlySet<string>> {
    const list = JSON.parse(await this.mesh.culvert('get', 'workloadentries', '-n', 'shop', '-o', 'json')) as {
      readonly items: readonly { readonly metadata: { readonly name: string } }[]
    }
    return new Set(list.items.map(({ metadata }) => metadata.name))
  }

  /** Unit names of the waypoint's replicas. */
  get replicas(): readonly string[] {
    return this.mesh.lab.plan.waypoints.map(waypointUnitName)
  }

  /** SIGTERM, as an orchestrator ends it; resolves once its successor runs and the mesh has it. */
  async restart(replica: string): Promise<void> {
    const { selector } = this.mesh.lab
    const before = unitProcess(selector, replica)
    await stopUnit(selector, replica)
    releaseUnit(selector, replica)
    await waitRestarted(selector, replica, before)
    // It takes tunnels again, and every host has heard of it: the next one may go.
    const { client, lab } = this.mesh
    const waypoints = meshParts(client, lab.plan).filter(({ unit }) => unit === replica)
    await waitReady(lab.paths, waypoints, 60_000)
    await this.mesh.converge()
  }

  close(): Promise<void> {
    return this.mesh.close()
  }
}

/** A fresh series. */
export function series(): string {
  return randomUUID()
}

/** A VirtualService for `orders`; `http` is YAML, the items of its list at the beginning of the line. */
export function virtualService(http: string, name = 'orders'): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: shop}
spec:
  hosts: [${name}]
  http:
${indented(http)}
`
}

export function httpRoute(rules: string, name = 'orders'): string {
  return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: ${name}}]
  rules:
${indented(rules)}
`
}

/** `policy` is YAML: the fields of trafficPolicy, at the beginning of the line. */
export function destinationRule(policy: string, more = ''): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: orders, namespace: shop}
spec:
  host: orders
  trafficPolicy:
${indented(policy, '    ')}
${indented(more)}
`
}

function indented(text: string, by = '  '): string {
  return text
    .trim()
    .split('\n')
    .map((line) => by + line)
    .join('\n')
}
