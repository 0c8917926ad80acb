// Who has to do with an object of layer 7: the waypoints in front of the services that it is about, and no agent. Knows when a Gateway
// and a route are in force, and what a Gateway's status tells. Asked by the status writer.
import type { Inventory } from '../../core/analyze/inventory.ts'
import { type fields, items, specOf, text, texts } from '../../core/analyze/values.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { CompiledKey, Service } from '../../core/model/types.ts'
import { type Finding, keyOf, nameOf } from '../compile/conditions.ts'
import { addressesOf } from '../compile/workload-entry.ts'
import type { EntryIndex } from '../entries.ts'
import type { GatewayFacts } from './gateway-status.ts'
import {
  type HostVersion,
  madeOfObject,
  names,
  notProgrammed,
  pending,
  programmed,
  programmedOf,
  refusalBy,
} from './programmed.ts'

/** Kinds that only waypoints act on. */
const kinds: ReadonlySet<string> = new Set([
  'HTTPRoute',
  'GRPCRoute',
  'TCPRoute',
  'TLSRoute',
  'VirtualService',
  'DestinationRule',
  'RateLimitPolicy',
])

export interface LayerSevenOptions {
  /** The live mesh. */
  readonly inventory: Inventory
  readonly entries: Pick<EntryIndex, 'instancesOf'>
  /** A Service of the compiled model, by its key. */
  readonly service: (key: string) => Service | undefined
}

/** What an object is about. */
interface Subject {
  /** Keys of Services; undefined: of any. */
  readonly services: ReadonlySet<string> | undefined
  /** Gateways that it names itself, `namespace/name`. */
  readonly gateways: readonly string[]
}

export class LayerSeven {
  readonly #options: LayerSevenOptions

  constructor(options: LayerSevenOptions) {
    this.#options = options
  }

  /** As `programmedOf`; `hosts`: all. For kinds of every layer. */
  programmed(object: MeshObject, version: number, hosts: readonly HostVersion[]): Finding {
    if (object.kind === 'Gateway') return this.#gateway(object, version, hosts)
    if (kinds.has(object.kind)) return this.#served(object, version, hosts)
    return programmedOf(madeOfObject(keyOf(object)), version, hosts)
  }

  gatewayFacts(object: MeshObject): GatewayFacts {
    const instances = this.#options.entries.instancesOf(nameOf(object))
    return { addresses: [...new Set(instances.flatMap(addressesOf))].sort() }
  }

  /** In force with the first instance that has it. */
  #gateway(object: MeshObject, version: number, hosts: readonly HostVersion[]): Finding {
    const name = nameOf(object)
    const all = hosts.filter(({ gateways }) => gateways.has(name))
    const connected = all.filter((host) => host.connected)
    if (connected.length === 0) return noInstances(name, all)
    const refusal = refusalBy(madeOfObject(keyOf(object)), connected)
    if (refusal !== undefined) return refusal
    return connected.some((host) => host.version >= version) ? programmed : pending(connected)
  }

  #served(object: MeshObject, version: number, hosts: readonly HostVersion[]): Finding {
    const subject = this.#subjectOf(object)
    const waypoints = hosts.filter(({ view }) => view === 'waypoint')
    if (subject.services === undefined) return programmedOf(this.#madeOf(object, undefined), version, waypoints)
    const gateways = this.#gatewaysOf(subject)
    if (gateways.size === 0) return noWaypoint(subject)
    for (const gateway of gateways) {
      const all = waypoints.filter((host) => host.gateways.has(gateway))
      if (all.length === 0) return noInstances(gateway, [])
    }
    const serving = waypoints.filter((host) => !host.gateways.isDisjointFrom(gateways))
    return programmedOf(this.#madeOf(object, subject.services), version, serving)
  }

  /** Routes and destinations are kept by service: what several objects say of one is one resource. */
  #madeOf(object: MeshObject, services: ReadonlySet<string> | undefined): (resource: CompiledKey) => boolean {
    const own = madeOfObject(keyOf(object))
    return (resource) => {
      if (own(resource)) return true
      if (services === undefined) return false
      if (resource.kind === 'Destination') return object.kind === 'DestinationRule' && services.has(resource.key)
      if (resource.kind !== 'Routes' || object.kind === 'DestinationRule' || object.kind === 'RateLimitPolicy')
        return false
      return services.has(resource.key.slice(0, resource.key.lastIndexOf(':')))
    }
  }

  #gatewaysOf({ services, gateways }: Subject): ReadonlySet<string> {
    const found = new Set(gateways)
    for (const key of services ?? []) {
      const waypoint = this.#options.service(this.#options.service(key)?.waypoint ?? '')
      if (waypoint?.gateway !== undefined) found.add(`${waypoint.namespace}/${waypoint.name}`)
    }
    return found
  }

  #subjectOf(object: MeshObject): Subject {
    const spec = specOf(object)
    if (object.kind === 'VirtualService') return this.#ofHosts(texts(spec['hosts']), object)
    if (object.kind === 'DestinationRule') return this.#ofHosts(texts([spec['host']]), object)
    const refs = object.kind === 'RateLimitPolicy' ? 'targetRefs' : 'parentRefs'
    return this.#ofReferences(
      items(spec[refs], []).map(({ value }) => value),
      object,
    )
  }

  #ofReferences(references: readonly ReturnType<typeof fields>[], object: MeshObject): Subject {
    const { namespace: own = '' } = object.metadata
    const services = new Set<string>()
    const gateways: string[] = []
    for (const reference of references) {
      const kind = text(reference['kind']) ?? 'Gateway'
      const name = text(reference['name']) ?? ''
      const namespace = text(reference['namespace']) ?? own
      if (kind === 'Service') services.add(this.#keyOf(namespace, name))
      else if (kind === 'Gateway') gateways.push(`${namespace}/${name}`)
      else {
        // a policy for a route is one for what the route is for
        const route = this.#options.inventory.find(kind, 'gateway.networking.k8s.io', namespace, name)
        if (route === undefined || !kinds.has(kind) || kind === object.kind) continue
        const behind = this.#subjectOf(route)
        for (const key of behind.services ?? []) services.add(key)
        gateways.push(...behind.gateways)
      }
    }
    return { services, gateways }
  }

  #ofHosts(hosts: readonly string[], object: MeshObject): Subject {
    const { inventory } = this.#options
    const { namespace = '' } = object.metadata
    const services = new Set<string>()
    for (const host of hosts) {
      if (host.includes('*')) return { services: undefined, gateways: [] }
      const service = inventory.serviceOf(inventory.qualify(host, namespace)) ?? short(host, inventory)
      if (service !== undefined) services.add(this.#keyOf(service.namespace, service.name))
    }
    return { services, gateways: [] }
  }

  #keyOf(namespace: string, name: string): string {
    return `${namespace}/${name}.${namespace}.${this.#options.inventory.settings.serviceDomain}`
  }
}

/** `orders.shop` and `orders.shop.svc`, where there is such a Service. */
function short(host: string, inventory: Inventory): { readonly name: string; readonly namespace: string } | undefined {
  const [name = '', namespace = '', svc = 'svc', ...rest] = host.split('.')
  if (svc !== 'svc' || rest.length > 0) return undefined
  return inventory.find('Service', '', namespace, name) === undefined ? undefined : { name, namespace }
}

function noInstances(gateway: string, away: readonly HostVersion[]): Finding {
  const start = `start one with \`culvert waypoint\` and a token of \`culvert token create --waypoint ${gateway}\``
  if (away.length === 0) return notProgrammed('NoInstances', `the waypoint ${gateway} has no instance: ${start}`)
  return notProgrammed('NoInstances', `no instance of the waypoint ${gateway} is connected: look at ${names(away)}`)
}

function noWaypoint({ services }: Subject): Finding {
  const of = [...(services ?? [])].map((key) => key.slice(0, key.indexOf('.'))).join(', ')
  if (of === '') return notProgrammed('NoWaypoint', 'it is about no service that a waypoint could stand in front of')
  const advice = 'put one there with the label istio.io/use-waypoint and a Gateway of class culvert-waypoint'
  return notProgrammed('NoWaypoint', `no waypoint stands in front of ${of}, so nobody does what this says: ${advice}`)
}
