// The compiled model: what the feed carries and every proxy decides on. Written by control/compile, read by core/decide.
// All types are readonly; a value is replaced, never changed.
import type { Destination } from './destinations.ts'
import type { RateLimit } from './rate-limits.ts'
import type { RouteTable } from './routes.ts'

/** How peers reach a workload: `HBONE` through the tunnel on port 15008, `TCP` in plaintext. */
export type WorkloadProtocol = 'HBONE' | 'TCP'

/** PeerAuthentication resolved for one workload. `source` is `namespace/name` of the deciding resource, for messages. */
export interface PeerAuthenticationMode {
  readonly mode: 'STRICT' | 'PERMISSIVE'
  /** Exceptions by destination (workload) port. */
  readonly ports: Readonly<Record<string, 'STRICT' | 'PERMISSIVE'>>
  readonly source?: string
}

/** A workload's part in one service. */
export interface ServiceMembership {
  /** Key of the Service: `namespace/hostname`. */
  readonly service: string
  /** Service port → the workload's port, decimal strings as keys. */
  readonly ports: Readonly<Record<string, number>>
}

export interface Workload {
  /** Unique for one life of one instance; a restarted or replaced instance has another uid. */
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly trustDomain: string
  readonly node: string
  /** Canonical IPv4 and IPv6 addresses. */
  readonly addresses: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  /** Whether the dataplane label asks for capture. The agent enrols; `protocol` turns HBONE once it reports done. */
  readonly enrolled: boolean
  readonly protocol: WorkloadProtocol
  readonly health: 'healthy' | 'unhealthy'
  /** `region/zone/subzone` or empty. */
  readonly locality: string
  /** Relative share of load balancing, ≥ 0. */
  readonly weight: number
  readonly services: readonly ServiceMembership[]
  readonly peerAuthentication: PeerAuthenticationMode
  /** Keys of the Authorizations of scope `workload` that select this workload. */
  readonly authorizations: readonly string[]
  /** Key of the waypoint Service in front of this workload. */
  readonly waypoint?: string
}

export interface ServicePort {
  readonly name: string
  /** Port on the virtual IP, 1–65535. */
  readonly port: number
  readonly protocol: 'TCP'
  /** As the Service says it: `http`, `kubernetes.io/h2c`, … */
  readonly appProtocol?: string
}

/** A Service that stands for a waypoint: what its Gateway declares. */
export interface WaypointGateway {
  /** Which traffic it takes (label `istio.io/waypoint-for`): that to services, to addresses of workloads, both, none. */
  readonly takes: 'service' | 'workload' | 'all' | 'none'
  /** What a daemon does with traffic for a waypoint that cannot be reached: refuse it, or go around the waypoint. */
  readonly whenUnreachable: 'refuse' | 'bypass'
  /** Whether destinations behind it take connections that did not come through it. */
  readonly bypass: 'refused' | 'allowed'
}

export interface Service {
  readonly namespace: string
  readonly name: string
  /** `<name>.<namespace>.svc.cluster.local`. */
  readonly hostname: string
  /** Canonical virtual IPs; empty for a headless service. */
  readonly vips: readonly string[]
  readonly headless: boolean
  readonly ports: readonly ServicePort[]
  /** Further SPIFFE identities that a server behind this service may present, besides the endpoint's own. */
  readonly identities: readonly string[]
  /** Key of the waypoint's Service that traffic to this one passes through. */
  readonly waypoint?: string
  /** This Service is a waypoint: its endpoints take tunnels on 15008 for whatever names it in `waypoint`. */
  readonly gateway?: WaypointGateway
  readonly loadBalancing: 'random'
}

/** A string matcher: exact, prefix (`a*`), suffix (`*a`) or presence (`*`), as Istio's policy strings. */
export type StringMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'suffix'; readonly value: string }
  | { readonly kind: 'presence' }

/**
 * One condition: all fields that are present must hold, within a field any value is enough; `not…` fields must not match.
 * Principals are without the `spiffe://` scheme. Address blocks are CIDRs. `destinationPorts` are workload ports.
 */
export interface AuthorizationMatch {
  readonly principals?: readonly StringMatch[]
  readonly notPrincipals?: readonly StringMatch[]
  readonly namespaces?: readonly StringMatch[]
  readonly notNamespaces?: readonly StringMatch[]
  /** Exact `namespace/serviceAccount`. */
  readonly serviceAccounts?: readonly string[]
  readonly notServiceAccounts?: readonly string[]
  readonly sourceIps?: readonly string[]
  readonly notSourceIps?: readonly string[]
  readonly destinationIps?: readonly string[]
  readonly notDestinationIps?: readonly string[]
  readonly destinationPorts?: readonly number[]
  readonly notDestinationPorts?: readonly number[]
}

/** A rule matches when every clause does; a clause when any of its matches does. No clause at all: matches everything. */
export interface AuthorizationRule {
  /** Position in the resource's `rules`, from 0, for messages. */
  readonly index: number
  readonly clauses: readonly (readonly AuthorizationMatch[])[]
}

export interface Authorization {
  readonly namespace: string
  readonly name: string
  /** `mesh`: every workload; `namespace`: those of `namespace`; `workload`: those that list its key. */
  readonly scope: 'mesh' | 'namespace' | 'workload'
  readonly action: 'ALLOW' | 'DENY'
  /** Without rules it never matches (an ALLOW then allows nothing). */
  readonly rules: readonly AuthorizationRule[]
  /** A dry-run policy is evaluated and logged, never enforced. */
  readonly dryRun: boolean
}

/** Mesh-wide facts that every proxy needs. */
export interface MeshSettings {
  readonly trustDomain: string
  readonly clusterName: string
  readonly rootNamespace: string
  /** Ranges that virtual IPs come from, as CIDRs; the agent routes them. */
  readonly vipRanges: readonly string[]
  /** `svc.cluster.local`. */
  readonly serviceDomain: string
}

/**
 * One compiled resource. `key` is unique within its kind: a Workload's uid, a Service's `namespace/hostname`, an
 * Authorization's `namespace/name`, `mesh` for the settings. For waypoints only: Routes `<key of the Service>:<port>`, Destination
 * the key of the Service, RateLimit `namespace/name`.
 */
export type CompiledResource =
  | { readonly kind: 'Mesh'; readonly key: 'mesh'; readonly value: MeshSettings }
  | { readonly kind: 'Workload'; readonly key: string; readonly value: Workload }
  | { readonly kind: 'Service'; readonly key: string; readonly value: Service }
  | { readonly kind: 'Authorization'; readonly key: string; readonly value: Authorization }
  | { readonly kind: 'Routes'; readonly key: string; readonly value: RouteTable }
  | { readonly kind: 'Destination'; readonly key: string; readonly value: Destination }
  | { readonly kind: 'RateLimit'; readonly key: string; readonly value: RateLimit }

export type CompiledKind = CompiledResource['kind']

export interface CompiledKey {
  readonly kind: CompiledKind
  readonly key: string
}

/** A change of the compiled model. `full` replaces everything: what `upserts` lacks is gone. */
export interface CompiledDelta {
  /**
   * Of the state after this change. Within an epoch versions grow, by one or more, and equal versions are equal states, whichever
   * control plane they are from; versions of different epochs have no relation.
   */
  readonly epoch: string
  readonly version: number
  readonly full: boolean
  readonly upserts: readonly CompiledResource[]
  readonly removes: readonly CompiledKey[]
}

/** A resource that a receiver could not take, and why. */
export interface RefusedResource extends CompiledKey {
  readonly reason: string
}
