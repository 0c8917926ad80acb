// What the stack reads of the compiled model: a Snapshot fits. Every answer is the same object until it changes, which is how the stack
// sees what a change of the model touches.
import type { Destination } from '../core/model/destinations.ts'
import type { RateLimit } from '../core/model/rate-limits.ts'
import type { RouteTable } from '../core/model/routes.ts'
import type { Service, Workload } from '../core/model/types.ts'

/** A `service` is the key of one: `namespace/hostname`. */
export interface RoutingModel {
  serviceByKey(service: string): Service | undefined
  workloadByUid(uid: string): Workload | undefined
  endpointsOf(service: string): readonly Workload[]
  /** Of one port. */
  routesOf(service: string, port: number): RouteTable | undefined
  /** The first one's policy counts; of subsets with one name likewise. */
  destinationsOf(service: string): readonly Destination[]
  /** Limits with a target that is the service, a route that is attached to it, or the waypoint that it is. */
  rateLimitsOf(service: string): readonly RateLimit[]
}
