// Every way that a connection from a source to one address may take, each decided by the functions that the proxies run.
import { principalText, workloadIdentity } from '../../model/canonical.ts'
import type { ExplainedPath, PathVerdict } from '../../model/explanation.ts'
import { ports } from '../../model/ports.ts'
import { type Snapshot, serviceKey } from '../../model/snapshot.ts'
import type { Service, Workload } from '../../model/types.ts'
import { familyOf, formatSocketAddress, isLoopback, type SocketAddress } from '../../net/address.ts'
import { type Endpoint, type Share, sharesOf } from '../balance.ts'
import { refusePlaintext, refuseTunnel } from '../inbound.ts'
import { refuseOutbound, sourceAddressFor } from '../outbound.ts'
import { type RouteDecision, route } from '../route.ts'
import { describeWorkload, isCaptured, type Source } from './locate.ts'
import { admitted, type Fields, path, refusal, shown, type Trip } from './trip.ts'
import { isThrough, missedWaypoint, passedBy, through } from './waypoints.ts'

/** At least one; their shares add up to 1. */
export function pathsTo(snapshot: Snapshot, source: Source, dial: SocketAddress): readonly ExplainedPath[] {
  const trip: Trip = { snapshot, source, dial }
  const own = source.workload?.addresses ?? source.addresses
  if (isLoopback(dial.address) || own.includes(dial.address)) return [loopback(trip, own)]
  const { workload } = source
  if (workload !== undefined && isCaptured(workload)) return capturedPaths(trip, workload)
  return [uncapturedPath(trip)]
}

/** Traffic of a workload to itself does not pass its rules, unless it goes by a virtual IP. */
function loopback(trip: Trip, own: readonly string[]): ExplainedPath {
  const { source, dial } = trip
  const captured = source.workload !== undefined && isCaptured(source.workload)
  const refused = captured ? refuseOutbound(own, dial, false) : undefined
  if (refused !== undefined) return path(trip, refusal(refused, 'loopback'))
  const because = 'a connection to an own address stays on the loopback interface, where no proxy and no policy is'
  return path(trip, { verdict: 'allowed', because, transport: 'loopback', transportBecause: because })
}

/** One way per endpoint that the proxy of the source may draw. */
function capturedPaths(trip: Trip, source: Workload): readonly ExplainedPath[] {
  const { snapshot, dial } = trip
  const refused = refuseOutbound(source.addresses, dial, false)
  if (refused !== undefined) return [path(trip, refusal(refused))]
  const all = draws(snapshot, dial).map(({ draw, share, endpoint }) => {
    const decision = route(snapshot, { source, destination: dial, random: () => draw })
    if (!isThrough(decision)) return routed(trip, source, decision, share)
    const end = endpoint ?? addressed(snapshot, decision.target)
    return path(trip, through(trip, source, decision, end), end?.target, share)
  })
  return joined(all)
}

/** Connections that are refused before anybody is chosen are one way, whoever would have been. */
function joined(paths: readonly ExplainedPath[]): readonly ExplainedPath[] {
  const [first, ...others] = paths
  const nobody = ({ workload, waypoint }: ExplainedPath) =>
    workload === undefined && waypoint?.outcome === 'unreachable'
  return first === undefined || others.length === 0 || !paths.every(nobody) ? paths : [{ ...first, share: 1 }]
}

/** The workload whose own address was dialled. */
function addressed(snapshot: Snapshot, target: SocketAddress): Endpoint | undefined {
  const workload = snapshot.workloadByAddress(target.address)
  return workload === undefined ? undefined : { workload, target }
}

type Draw = Pick<Share, 'draw' | 'share'> & Partial<Pick<Share, 'endpoint'>>

/** Values of `random` that lead `route`, or the waypoint behind it, to each endpoint in turn. */
function draws(snapshot: Snapshot, dial: SocketAddress): readonly Draw[] {
  const service = snapshot.serviceByVip(dial.address)
  if (service === undefined) return [{ draw: 0, share: 1 }]
  const { shares } = membersOf(snapshot, service, dial)
  return shares.length === 0 ? [{ draw: 0, share: 1 }] : shares
}

/** Who serves a port of a service, and who does not. */
export function membersOf(snapshot: Snapshot, service: Service, dial: SocketAddress): ReturnType<typeof sharesOf> {
  const key = serviceKey(service)
  return sharesOf(snapshot.endpointsOf(key), { service: key, port: dial.port, family: familyOf(dial.address) })
}

function routed(trip: Trip, source: Workload, decision: RouteDecision, share: number): ExplainedPath {
  const named = decision.service === undefined ? {} : { service: serviceKey(decision.service) }
  if (decision.kind === 'refuse') {
    const missed = decision.waypoint === undefined ? {} : missedWaypoint(decision.waypoint)
    return path(trip, { ...refusal(decision.error), ...named, ...missed }, trip.dial, share)
  }
  const { target, workload } = decision
  const known =
    workload === undefined ? {} : { workload: describeWorkload(workload), ...passedBy(trip, workload, target) }
  const about = { ...named, ...known }
  if (decision.kind === 'tunnel') return path(trip, { ...tunnelled(trip, source, decision), ...about }, target, share)
  return path(trip, { ...unprotected(workload), ...about }, target, share)
}

/** Out of the mesh in plaintext: the other end has no proxy. */
function unprotected(workload: Workload | undefined): Fields {
  if (workload === undefined) {
    const because = 'the address belongs to no workload or service of the mesh, so the connection passes as it is'
    return { verdict: 'allowed', because, transport: 'plaintext', transportBecause: because }
  }
  const state = workload.enrolled ? 'is enrolled and not captured yet' : 'is outside the mesh'
  const transportBecause = `the destination ${state}: nothing there takes a tunnel`
  const because = `the destination ${state}, so no policy is asked`
  return { verdict: 'allowed', because, transport: 'plaintext', transportBecause }
}

function tunnelled(trip: Trip, source: Workload, decision: Extract<RouteDecision, { kind: 'tunnel' }>): Fields {
  const { workload, target, peer, expectedIdentities } = decision
  const used = trip.source.addresses.find((address) => familyOf(address) === familyOf(trip.dial.address))
  const from = sourceAddressFor(source.addresses, used, peer.address)
  const base = {
    transport: 'tunnel',
    transportBecause: 'both ends are captured',
    peer: formatSocketAddress(peer),
    identities: { source: workloadIdentity(source), destination: expectedIdentities },
  } as const
  if (from === undefined) {
    const because = `the source has no ${familyOf(peer.address)} address from which it could reach ${peer.address}`
    return { ...base, verdict: 'unreachable', because, code: 'CONNECT_FAILED' }
  }
  const authority = formatSocketAddress(target)
  const wrong = refuseTunnel({ authority, target, local: peer, own: workload.addresses })
  if (wrong !== undefined) return { ...base, verdict: 'unreachable', because: wrong.message, code: wrong.code }
  return { ...base, ...admitted(trip, workload, target, from, source), callerSeen: shown(from, target) }
}

/** A source without a proxy: plaintext, which only the destination's proxy can judge. */
function uncapturedPath(trip: Trip): ExplainedPath {
  const { snapshot, dial, source } = trip
  const workload = snapshot.workloadByAddress(dial.address)
  const transportBecause = 'the source is not captured'
  const service = snapshot.serviceByVip(dial.address)
  if (service !== undefined || snapshot.isVirtual(dial.address)) return virtualFrom(trip, service)
  if (workload === undefined || !isCaptured(workload)) {
    const because = 'neither end is captured: the connection goes as the network lets it'
    const about =
      workload === undefined ? {} : { workload: describeWorkload(workload), ...passedBy(trip, workload, dial) }
    return path(trip, { verdict: 'not-captured', because, transport: 'plaintext', transportBecause, ...about })
  }
  const about = { workload: describeWorkload(workload), ...passedBy(trip, workload, dial) }
  const base = { transport: 'plaintext', transportBecause, ...about } as const
  const refused = arrivalRefused(dial)
  if (refused !== undefined) return path(trip, { ...base, verdict: 'unreachable', ...refused })
  const from = source.addresses.find((address) => familyOf(address) === familyOf(dial.address)) ?? source.addresses[0]
  if (from === undefined) {
    const because = 'the source has no address'
    return path(trip, { ...base, verdict: 'unreachable', because, code: 'CONNECT_FAILED' })
  }
  return path(trip, { ...base, ...admitted(trip, workload, dial, from), callerSeen: shown(from, dial) })
}

function arrivalRefused(dial: SocketAddress): { readonly because: string; readonly code: string } | undefined {
  if (dial.port === ports.hbone) {
    const because = `${formatSocketAddress(dial)} takes tunnels with mutual TLS only, which the source cannot open`
    return { because, code: 'TUNNEL_HANDSHAKE' }
  }
  const refused = refusePlaintext(dial, false)
  return refused === undefined ? undefined : { because: refused.message, code: refused.code }
}

/** Virtual IPs of the mesh's own ranges lead nowhere without capture; others are somebody else's to translate. */
function virtualFrom(trip: Trip, service: Service | undefined): ExplainedPath {
  const { snapshot, dial } = trip
  const named = service === undefined ? {} : { service: serviceKey(service) }
  const transportBecause = 'the source is not captured'
  if (snapshot.isVirtual(dial.address)) {
    const because = `${dial.address} is a virtual IP, which leads somewhere only for captured sources: enrol the source`
    return path(trip, {
      verdict: 'unreachable',
      because,
      code: 'NO_ENDPOINT',
      transport: 'none',
      transportBecause,
      ...named,
    })
  }
  const because =
    'whoever translates this address outside the mesh decides where it leads; the mesh does not see the source'
  return path(trip, { verdict: 'not-captured', because, transport: 'plaintext', transportBecause, ...named })
}

/** Denied and unreachable ways weigh alike; so do allowed ones and those that the mesh has no part in. */
export function overall(paths: readonly { readonly verdict: PathVerdict }[]): PathVerdict | 'mixed' {
  const kinds = new Set(paths.map(({ verdict }) => verdict))
  const passes = kinds.has('allowed') || kinds.has('not-captured')
  const fails = kinds.has('denied') || kinds.has('unreachable')
  if (passes && fails) return 'mixed'
  if (passes) return kinds.has('allowed') ? 'allowed' : 'not-captured'
  return kinds.has('denied') ? 'denied' : 'unreachable'
}

/** The identity that a captured source presents. */
export function identityOf({ workload }: Source): string | undefined {
  return workload !== undefined && isCaptured(workload) ? `spiffe://${principalText(workload)}` : undefined
}
