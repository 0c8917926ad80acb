// What objects claim of a frontend, and the table that comes of it: who wins where several claim the same. Pure; table.ts asks it.
import type { ConnectionRoute, Route, RouteGroup, RouteKind, RouteTable } from '../../../core/model/routes.ts'
import { byServerName } from './connections.ts'

/** Routes of one object for one frontend and one audience. Plain data: claims are compared. */
export interface Claim {
  readonly kind: RouteKind
  /** Namespace of the clients; undefined: all without an own group. */
  readonly audience?: string
  /** VirtualService: a more specific host comes first; 0 otherwise. */
  readonly specificity: number
  readonly routes: readonly Route[]
  readonly connections?: readonly ConnectionRoute[]
  /** Positions of the parents that lead here, in the object's parentRefs. */
  readonly parents: readonly number[]
}

/** With the object that it is from. */
export interface PlacedClaim extends Claim {
  /** formatObjectKey. */
  readonly source: string
  /** Orders by age, then by name. */
  readonly order: string
}

/** What became of a claim. */
export interface Decided {
  readonly claim: PlacedClaim
  /** Source of the claim that holds instead; undefined: this one holds. */
  readonly lostTo: string | undefined
}

export interface DecidedTable {
  readonly table: RouteTable
  readonly decided: readonly Decided[]
}

/** The Gateway API comes before Istio, and its kinds in the order of GEP-1294. */
const rank: Readonly<Record<RouteKind, number>> = {
  GRPCRoute: 0,
  HTTPRoute: 1,
  TLSRoute: 2,
  TCPRoute: 3,
  VirtualService: 4,
}

/** Kinds of which several objects hold beside each other; of the others one speaks for the frontend. */
const joining: ReadonlySet<RouteKind> = new Set(['GRPCRoute', 'HTTPRoute', 'TLSRoute'])

/** @param claims at least one */
export function tableOf(service: string, port: number, claims: readonly PlacedClaim[]): DecidedTable {
  const decided: Decided[] = []
  const consumers: Record<string, RouteGroup> = {}
  const audiences = Map.groupBy(claims, ({ audience }) => audience)
  const named = [...audiences.keys()].filter((audience) => audience !== undefined).sort()
  for (const audience of named) consumers[audience] = groupOf(audiences.get(audience) ?? [], decided)
  const all = audiences.get(undefined)
  const everyone = all === undefined ? {} : { everyone: groupOf(all, decided) }
  return { table: { service, port, ...everyone, consumers }, decided }
}

function groupOf(claims: readonly PlacedClaim[], decided: Decided[]): RouteGroup {
  const sorted = [...claims].sort(
    (a, b) => rank[a.kind] - rank[b.kind] || b.specificity - a.specificity || (a.order < b.order ? -1 : 1),
  )
  const first = sorted[0]!
  const joins = (claim: PlacedClaim): boolean =>
    claim.source === first.source || (claim.kind === first.kind && joining.has(claim.kind))
  for (const claim of sorted) decided.push({ claim, lostTo: joins(claim) ? undefined : first.source })
  const winners = sorted.filter(joins)
  const connections = winners.flatMap(({ connections = [] }) => connections)
  const raw = winners.some(({ connections }) => connections !== undefined)
  return {
    precedence: first.kind === 'GRPCRoute' || first.kind === 'HTTPRoute' ? 'specific' : 'first',
    routes: winners.flatMap(({ routes }) => routes),
    ...(raw ? { connections: first.kind === 'TLSRoute' ? byServerName(connections) : connections } : {}),
  }
}
