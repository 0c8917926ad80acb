// The part of an explanation that is about a waypoint: who stands there and why, and the way through it to the destination. Which
// endpoint it takes is its routes' to say; without routes it is any of the service's.
import { principalText, workloadIdentity } from '../../model/canonical.ts'
import type { ExplainedPath, ExplainedWaypoint } from '../../model/explanation.ts'
import { ports } from '../../model/ports.ts'
import { serviceKey } from '../../model/snapshot.ts'
import type { Workload } from '../../model/types.ts'
import { familyOf, formatSocketAddress, type SocketAddress } from '../../net/address.ts'
import { type Endpoint, sharesOf } from '../balance.ts'
import { refuseTunnel } from '../inbound.ts'
import { sourceAddressFor } from '../outbound.ts'
import type { RouteDecision } from '../route.ts'
import {
  instancesOf,
  isInstanceOf,
  mustBePassed,
  type NamedWaypoint,
  type Waypoint,
  waypointIdentity,
  waypointName,
  waypointOfService,
  waypointsBefore,
} from '../waypoint.ts'
import { describeWorkload, isCaptured } from './locate.ts'
import { admitted, type Fields, shown, type Trip } from './trip.ts'

type Through = Extract<RouteDecision, { kind: 'tunnel' }> & {
  readonly waypoint: NamedWaypoint & { readonly waypoint: Waypoint }
}

export function isThrough(decision: RouteDecision): decision is Through {
  return decision.kind === 'tunnel' && decision.waypoint?.waypoint !== undefined
}

const onward = 'the waypoint connects to the destination itself, and passes on for whom'

/** A way through a waypoint. @param end where the waypoint goes on to; undefined where it finds no endpoint */
export function through(trip: Trip, source: Workload, decision: Through, end: Endpoint | undefined): Fields {
  const { waypoint, service, peer } = decision
  const used = trip.source.addresses.find((address) => familyOf(address) === familyOf(trip.dial.address))
  const from = sourceAddressFor(source.addresses, used, peer.address)
  const named = service === undefined ? {} : { service: serviceKey(service) }
  const about = { waypoint: passedWaypoint(trip, source, decision), ...named }
  if (from === undefined) {
    const because = `the source has no ${familyOf(peer.address)} address from which it could reach ${peer.address}`
    const fields = { verdict: 'unreachable', because, code: 'CONNECT_FAILED', transport: 'none' } as const
    return { ...fields, transportBecause: because, ...about }
  }
  if (end === undefined) {
    const because = `waypoint ${waypointName(waypoint)} finds no healthy endpoint for port ${trip.dial.port}`
    const fields = { verdict: 'unreachable', because, code: 'NO_ENDPOINT', transport: 'none' } as const
    return { ...fields, transportBecause: because, ...about }
  }
  return { ...behind(trip, source, decision, end, from), ...about, workload: describeWorkload(end.workload) }
}

/** From the waypoint to the endpoint. @param from the caller's address, as the waypoint passes it on */
function behind(
  trip: Trip,
  source: Workload,
  { waypoint, service }: Through,
  { workload, target }: Endpoint,
  from: string,
): Fields {
  if (workload.protocol === 'TCP') {
    const because =
      'nothing at the destination takes a tunnel: the waypoint connects in plaintext, and no policy is asked'
    return { verdict: 'allowed', because, transport: 'plaintext', transportBecause: because }
  }
  const via = waypointIdentity(trip.snapshot, waypoint.waypoint)
  const peer = { address: target.address, port: ports.hbone }
  const base = {
    transport: 'tunnel',
    transportBecause: onward,
    peer: formatSocketAddress(peer),
    identities: {
      source: `spiffe://${principalText(via)}`,
      destination: [...new Set([workloadIdentity(workload), ...(service?.identities ?? [])])],
    },
  } as const
  const authority = formatSocketAddress(target)
  const wrong = refuseTunnel({ authority, target, local: peer, own: workload.addresses })
  if (wrong !== undefined) return { ...base, verdict: 'unreachable', because: wrong.message, code: wrong.code }
  return { ...base, ...admitted(trip, workload, target, from, source, via), callerSeen: shown(from, target) }
}

function passedWaypoint({ snapshot }: Trip, source: Workload, decision: Through): ExplainedWaypoint {
  const { waypoint, target, expectedIdentities } = decision
  const request = { service: waypoint.key, port: ports.hbone, family: familyOf(target.address) }
  const { shares } = sharesOf(instancesOf(snapshot, waypoint.waypoint), request)
  return {
    waypoint: waypointName(waypoint),
    outcome: 'passed',
    because: whoNames(waypoint),
    instances: shares.map(({ endpoint: { workload, target: tunnel }, share }) => {
      const { uid, namespace, name, node: host } = workload
      return { workload: { uid, namespace, name, host }, peer: formatSocketAddress(tunnel), share }
    }),
    identities: { source: workloadIdentity(source), destination: expectedIdentities },
  }
}

function whoNames({ service }: NamedWaypoint): string {
  if (service === undefined) return 'the destination or its namespace names it (label istio.io/use-waypoint)'
  return `service ${service.namespace}/${service.name} or its namespace names it (label istio.io/use-waypoint)`
}

/** For a connection that is refused for want of it. */
export function missedWaypoint(waypoint: NamedWaypoint): Pick<ExplainedPath, 'waypoint'> {
  const about = { waypoint: waypointName(waypoint), because: whoNames(waypoint), instances: [] }
  return { waypoint: { ...about, outcome: 'unreachable' } }
}

/** For a connection that reaches `workload` without a waypoint although one stands there; nothing where none does. */
export function passedBy(trip: Trip, workload: Workload, target: SocketAddress): Pick<ExplainedPath, 'waypoint'> {
  const { snapshot, dial } = trip
  const service = snapshot.serviceByVip(dial.address)
  const before = waypointsBefore(snapshot, workload, target.port)
  const ofService = service === undefined ? undefined : waypointOfService(snapshot, service)
  const waypoint = ofService ?? before.find(mustBePassed) ?? before[0]
  if (waypoint === undefined) return {}
  const because = `${whoNames(waypoint)}; ${whyAround(trip, waypoint)}`
  return { waypoint: { waypoint: waypointName(waypoint), outcome: 'gone-around', because, instances: [] } }
}

function whyAround({ snapshot, source: { workload } }: Trip, named: NamedWaypoint): string {
  if (workload === undefined || !isCaptured(workload)) {
    return 'the source is not captured, so nothing leads it there: the destination decides whether it may go around'
  }
  if (isInstanceOf(snapshot, named, workload)) return 'the source is this waypoint'
  const { waypoint } = named
  const instances = waypoint === undefined ? [] : instancesOf(snapshot, waypoint)
  if (instances.some(({ health }) => health === 'healthy')) return 'it does not take traffic to this address'
  return 'none of its instances is healthy, and its Gateway has connections go around it then'
}
