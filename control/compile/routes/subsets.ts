// Subsets that DestinationRules name, as routes look them up. The rest of a DestinationRule is not a matter of routing.
import type { DestinationRuleSpec } from '../../../core/model/fields/destination-rule.ts'
import { hostWithin } from '../../../core/model/fields/hosts.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { orderOf } from '../order.ts'
import type { RoutedService, RoutedServices } from './services.ts'

interface HostRule {
  readonly namespace: string
  /** Full, in lower case, or with a wildcard. */
  readonly host: string
  /** Undefined: every namespace sees it. */
  readonly seenIn: readonly string[] | undefined
  readonly subsets: ReadonlyMap<string, Readonly<Record<string, string>>>
}

export class Subsets {
  readonly #rules: readonly HostRule[]
  readonly #roots: readonly string[]

  /** @param roots namespaces whose rules hold for the whole mesh */
  constructor(objects: readonly MeshObject[], services: RoutedServices, roots: readonly string[]) {
    this.#roots = roots
    const byAge = [...objects].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
    this.#rules = byAge.map(({ metadata: { namespace = '' }, spec }) => {
      const { host = '', subsets = [], exportTo = [] } = (spec ?? {}) as Partial<DestinationRuleSpec>
      const open = exportTo.length === 0 || exportTo.includes('*')
      return {
        namespace,
        host: services.fullHost(host, namespace),
        seenIn: open ? undefined : exportTo.map((entry) => (entry === '.' ? namespace : entry)),
        subsets: new Map(subsets.map(({ name, labels = {} }) => [name, labels])),
      }
    })
  }

  /**
   * Looks where istiod looks: in the namespace of the route, of the service, of the mesh; the exact host before wildcards, the older
   * rule first.
   */
  labelsOf(service: RoutedService, subset: string, namespace: string): Readonly<Record<string, string>> | undefined {
    for (const place of new Set([namespace, service.namespace, ...this.#roots])) {
      const fitting = this.#rules.filter(
        (rule) =>
          rule.namespace === place &&
          (rule.seenIn === undefined || rule.seenIn.includes(namespace)) &&
          hostWithin(service.hostname, rule.host),
      )
      const exact = fitting.filter(({ host }) => !host.startsWith('*'))
      for (const { subsets } of exact.length > 0 ? exact : fitting) {
        const labels = subsets.get(subset)
        if (labels !== undefined) return labels
      }
    }
    return undefined
  }
}
