// How routes and frontends speak to each other while compiling: a route claims ports of Services, the Service decides, the route is told
// what became of its claims. Topics only; the rules of both sides are in gateway-frontends.ts, virtual-service.ts and table.ts.
import { topic } from '../topics.ts'
import type { Claim } from './groups.ts'

/** By key of the Service and port: what one object claims. */
export const claimsOn = topic<readonly Claim[]>('route-claims')

/** What a Service says of all that one object claims of it. */
export interface Verdict {
  /** `namespace/name`. */
  readonly service: string
  readonly hasWaypoint: boolean
  readonly ports: readonly {
    readonly port: number
    readonly parents: readonly number[]
    /** formatObjectKey of the object that holds instead. */
    readonly lostTo?: string
  }[]
}

/** By formatObjectKey of the claiming object. */
export const verdictsOn = topic<Verdict>('route-verdicts')

/** By kind, namespace and name of a route: key of each Service that it is attached to. */
export const attachments = topic<readonly string[]>('route-attachments')
