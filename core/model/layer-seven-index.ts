// What is said of requests to a service, by the key of its Service: tables of routes, destinations, rate limits. Owned by Snapshot;
// empty but in a waypoint and in the control plane.
import type { Destination } from './destinations.ts'
import { type RateLimit, servicesOf } from './rate-limits.ts'
import type { RouteTable } from './routes.ts'
import type { CompiledResource } from './types.ts'

export type LayerSevenResource = CompiledResource & { readonly kind: 'Routes' | 'Destination' | 'RateLimit' }

/** What one delta changed, by keys of Services. */
export interface LayerSevenChange {
  readonly routes: ReadonlySet<string>
  readonly destinations: ReadonlySet<string>
  readonly rateLimits: ReadonlySet<string>
}

const noLimits: readonly RateLimit[] = []
const noDestinations: readonly Destination[] = []

export function isLayerSeven(resource: CompiledResource): resource is LayerSevenResource {
  return resource.kind === 'Routes' || resource.kind === 'Destination' || resource.kind === 'RateLimit'
}

/** `<key of the Service>:<port>`. */
export function routesKey(service: string, port: number): string {
  return `${service}:${port}`
}

export function recordLayerSeven(
  { routes, destinations, rateLimits }: { readonly [Name in keyof LayerSevenChange]: Set<string> },
  resource: LayerSevenResource,
): void {
  if (resource.kind === 'Routes') routes.add(resource.value.service)
  else if (resource.kind === 'Destination') destinations.add(resource.value.service)
  else for (const service of servicesOf(resource.value)) rateLimits.add(service)
}

export class LayerSevenIndex {
  readonly #routes = new Map<string, Map<number, RouteTable>>()
  readonly #destinations = new Map<string, readonly Destination[]>()
  readonly #limits = new Map<string, readonly RateLimit[]>()

  routesOf(service: string, port: number): RouteTable | undefined {
    return this.#routes.get(service)?.get(port)
  }

  destinationsOf(service: string): readonly Destination[] {
    return this.#destinations.get(service) ?? noDestinations
  }

  rateLimitsOf(service: string): readonly RateLimit[] {
    return this.#limits.get(service) ?? noLimits
  }

  set(resource: LayerSevenResource): void {
    if (resource.kind === 'Routes') {
      const { service, port } = resource.value
      const tables = this.#routes.get(service)
      if (tables === undefined) this.#routes.set(service, new Map([[port, resource.value]]))
      else tables.set(port, resource.value)
    } else if (resource.kind === 'Destination') {
      this.#destinations.set(resource.value.service, [resource.value])
    } else {
      for (const service of servicesOf(resource.value)) {
        const limits = [...this.rateLimitsOf(service), resource.value]
        this.#limits.set(service, limits.sort(byName))
      }
    }
  }

  delete(resource: LayerSevenResource): void {
    if (resource.kind === 'Routes') {
      const { service, port } = resource.value
      const tables = this.#routes.get(service)
      tables?.delete(port)
      if (tables?.size === 0) this.#routes.delete(service)
    } else if (resource.kind === 'Destination') {
      this.#destinations.delete(resource.value.service)
    } else {
      for (const service of servicesOf(resource.value)) {
        const limits = this.rateLimitsOf(service).filter((limit) => limit !== resource.value)
        if (limits.length === 0) this.#limits.delete(service)
        else this.#limits.set(service, limits)
      }
    }
  }
}

function byName(a: RateLimit, b: RateLimit): number {
  return `${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1
}
