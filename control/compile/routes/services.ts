// The Services that routes attach to and lead to, found by name and by host as the routing kinds write them. Made of objects by
// tables.ts; ExternalName has no place in the mesh and is not found.
import { hostWithin } from '../../../core/model/fields/hosts.ts'
import type { ServiceSpec } from '../../../core/model/fields/service.ts'
import type { MeshObject } from '../../../core/model/resource.ts'

export interface RoutedService {
  /** `namespace/hostname`. */
  readonly key: string
  readonly namespace: string
  readonly name: string
  readonly hostname: string
  readonly headless: boolean
  readonly ports: readonly { readonly name: string; readonly port: number }[]
}

export class RoutedServices {
  readonly #byName = new Map<string, RoutedService>()
  readonly #byHostname = new Map<string, RoutedService>()
  readonly #domain: string

  /** @param domain `svc.cluster.local` */
  constructor(objects: readonly MeshObject[], domain: string) {
    this.#domain = domain
    for (const { metadata, spec: values } of objects) {
      const spec = (values ?? {}) as ServiceSpec
      if (spec.type === 'ExternalName') continue
      const { namespace = '', name } = metadata
      const hostname = `${name}.${namespace}.${domain}`
      const tcp = (spec.ports ?? []).filter(({ protocol = 'TCP' }) => protocol === 'TCP')
      const ports = tcp.map(({ name = '', port }) => ({ name, port }))
      const headless = spec.clusterIP === 'None'
      const service = { key: `${namespace}/${hostname}`, namespace, name, hostname, headless, ports }
      this.#byName.set(`${namespace}/${name}`, service)
      this.#byHostname.set(hostname.toLowerCase(), service)
    }
  }

  named(namespace: string, name: string): RoutedService | undefined {
    return this.#byName.get(`${namespace}/${name}`)
  }

  /** @param namespace of the object that writes the host, for short names: `orders`, `orders.shop`, `orders.shop.svc` */
  atHost(host: string, namespace: string): RoutedService | undefined {
    return this.#byHostname.get(this.fullHost(host, namespace))
  }

  /** Lower case, complete. A host without dots is one of the namespace, as in Istio. */
  fullHost(host: string, namespace: string): string {
    const name = host.toLowerCase().replace(/\.$/, '')
    if (name.startsWith('*')) return name
    const labels = name.split('.')
    if (labels.length === 1) return `${name}.${namespace}.${this.#domain}`
    const short = labels.length === 2 || (labels.length === 3 && labels[2] === 'svc')
    const known = short ? this.#byName.get(`${labels[1]}/${labels[0]}`) : undefined
    return known?.hostname.toLowerCase() ?? name
  }

  /** Those that a host stands for, with a wildcard several. */
  atHosts(host: string, namespace: string): readonly RoutedService[] {
    const full = this.fullHost(host, namespace)
    if (!full.startsWith('*')) {
      const service = this.#byHostname.get(full)
      return service === undefined ? [] : [service]
    }
    return [...this.#byHostname.values()].filter(({ hostname }) => hostWithin(hostname, full))
  }
}
