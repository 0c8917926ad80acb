// Collects what objects say about frontends, and makes tables of it: who wins where several kinds claim the same frontend.
// Used by tables.ts.
import type { Route, RouteGroup, RouteKind, RouteTable } from '../../../core/model/routes.ts'
import type { RoutedService } from './services.ts'

/** Routes of one object for one frontend and one audience. */
export interface Claim {
  readonly service: RoutedService
  readonly port: number
  /** Namespace of the clients; undefined: all without an own group. */
  readonly audience: string | undefined
  readonly kind: RouteKind
  /** Orders by age, then by name. */
  readonly order: string
  /** VirtualService: a more specific host comes first; 0 otherwise. */
  readonly specificity: number
  readonly routes: readonly Route[]
  /** Told when another claim wins the frontend: who. */
  readonly lost: (winner: Claim) => void
  readonly won: () => void
  /** `Kind namespace/name`. */
  readonly source: string
}

/** The Gateway API comes before Istio, as GRPCRoute before HTTPRoute (GEP-1294). */
const rank: Readonly<Record<RouteKind, number>> = {
  GRPCRoute: 0,
  HTTPRoute: 1,
  TLSRoute: 2,
  TCPRoute: 3,
  VirtualService: 4,
}

export function tablesOf(claims: readonly Claim[]): readonly RouteTable[] {
  const frontends = Map.groupBy(claims, ({ service, port }) => `${service.key} ${port}`)
  return [...frontends.keys()].sort().map((key) => tableOf(frontends.get(key) ?? []))
}

function tableOf(claims: readonly Claim[]): RouteTable {
  const [{ service, port }] = claims as readonly [Claim]
  const audiences = Map.groupBy(claims, ({ audience }) => audience)
  const consumers: Record<string, RouteGroup> = {}
  for (const [audience, own] of audiences) if (audience !== undefined) consumers[audience] = groupOf(own)
  const all = audiences.get(undefined)
  return { service: service.key, port, ...(all === undefined ? {} : { everyone: groupOf(all) }), consumers }
}

function groupOf(claims: readonly Claim[]): RouteGroup {
  const sorted = [...claims].sort(
    (a, b) => rank[a.kind] - rank[b.kind] || b.specificity - a.specificity || (a.order < b.order ? -1 : 1),
  )
  const first = sorted[0]!
  // one VirtualService speaks for a host; routes of the Gateway API stand beside each other
  const joins = (claim: Claim): boolean =>
    claim === first || (claim.kind === first.kind && claim.kind !== 'VirtualService')
  for (const claim of sorted) {
    if (joins(claim)) claim.won()
    else claim.lost(first)
  }
  return {
    precedence: first.kind === 'VirtualService' ? 'first' : 'specific',
    routes: sorted.filter(joins).flatMap(({ routes }) => routes),
  }
}
