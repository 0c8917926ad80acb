// The Services that routes attach to and lead to, found by name and by host as the routing kinds write them. ExternalName has no place
// in the mesh and is not found.
import { hostWithin } from '../../../core/model/fields/hosts.ts'
import type { ServiceSpec } from '../../../core/model/fields/service.ts'
import { serviceKind } from '../../../core/model/kinds/core.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import type { Rule, Scope } from '../rule.ts'
import { topic } from '../topics.ts'
import { isNameOfWaypoint } from '../waypoints/gateway.ts'

export interface RoutedService {
  /** `namespace/hostname`. */
  readonly key: string
  readonly namespace: string
  readonly name: string
  readonly hostname: string
  readonly headless: boolean
  readonly ports: readonly { readonly name: string; readonly port: number }[]
}

const byName = topic<RoutedService>('routed-service')
/** In lower case. */
const byHostname = topic<RoutedService>('routed-hostname')
/** All of them, for hosts with a wildcard. */
const every = topic<RoutedService>('routed-services')

/** Undefined for an ExternalName. @param domain `svc.cluster.local` */
export function routedService({ metadata, spec: values }: MeshObject, domain: string): RoutedService | undefined {
  const spec = (values ?? {}) as ServiceSpec
  if (spec.type === 'ExternalName') return undefined
  const { namespace = '', name } = metadata
  const hostname = `${name}.${namespace}.${domain}`
  const tcp = (spec.ports ?? []).filter(({ protocol = 'TCP' }) => protocol === 'TCP')
  const ports = tcp.map(({ name = '', port }) => ({ name, port }))
  const headless = spec.clusterIP === 'None'
  return { key: `${namespace}/${hostname}`, namespace, name, hostname, headless, ports }
}

export const routedServiceOffer: Rule = {
  kind: serviceKind,
  run(object, scope) {
    const service = routedService(object, scope.settings.mesh.serviceDomain)
    // behind the name of a waypoint stand its instances, where nothing is routed to
    if (service === undefined || isNameOfWaypoint(object, scope)) return
    scope.offer(byName(service.namespace, service.name), service)
    scope.offer(byHostname(service.hostname.toLowerCase()), service)
    scope.offer(every(), service)
  },
}

/** What one object sees of them while it is compiled. */
export class RoutedServices {
  readonly #scope: Scope
  readonly #domain: string

  constructor(scope: Scope) {
    this.#scope = scope
    this.#domain = scope.settings.mesh.serviceDomain
  }

  named(namespace: string, name: string): RoutedService | undefined {
    return this.#scope.read(byName(namespace, name))[0]?.value
  }

  /** @param namespace of the object that writes the host, for short names: `orders`, `orders.shop`, `orders.shop.svc` */
  atHost(host: string, namespace: string): RoutedService | undefined {
    return this.#scope.read(byHostname(this.fullHost(host, namespace)))[0]?.value
  }

  /** Lower case, complete. A host without dots is one of the namespace, as in Istio. */
  fullHost(host: string, namespace: string): string {
    const name = host.toLowerCase().replace(/\.$/, '')
    if (name.startsWith('*')) return name
    const labels = name.split('.')
    if (labels.length === 1) return `${name}.${namespace}.${this.#domain}`
    const short = labels.length === 2 || (labels.length === 3 && labels[2] === 'svc')
    const known = short ? this.named(labels[1] ?? '', labels[0] ?? '') : undefined
    return known?.hostname.toLowerCase() ?? name
  }

  /** Those that a host stands for, with a wildcard several. */
  atHosts(host: string, namespace: string): readonly RoutedService[] {
    const full = this.fullHost(host, namespace)
    if (full.startsWith('*')) {
      const all = this.#scope.read(every()).map(({ value }) => value)
      return all.filter(({ hostname }) => hostWithin(hostname, full))
    }
    const service = this.#scope.read(byHostname(full))[0]?.value
    return service === undefined ? [] : [service]
  }
}
