// The way of an outbound connection: accepted on 15001 in the workload's namespace → where was it going → route → tunnel
// stream or plain socket → copy → report. Called by the listeners of served-workload.ts.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { CancelSignal } from '../core/base/cancel.ts'
import { backoff, sleep } from '../core/base/deadline.ts'
import { type ErrorCode, MeshError } from '../core/base/errors.ts'
import { outboundLimits, refuseOutbound, sourceAddressFor } from '../core/decide/outbound.ts'
import { type RouteDecision, route } from '../core/decide/route.ts'
import { type NamedWaypoint, waypointName } from '../core/decide/waypoint.ts'
import { formatForwarded } from '../core/hbone/forwarded.ts'
import { baggageOf, newTraceparent } from '../core/hbone/tunnel-headers.ts'
import type { TunnelKey } from '../core/hbone/types.ts'
import type { Workload } from '../core/model/types.ts'
import { familyOf, formatSocketAddress, type SocketAddress } from '../core/net/address.ts'
import { systemCode } from '../core/net/tcp.ts'
import { carry, originalOf, watchClient } from './carry.ts'
import { type Connection, type ConnectionFacts, resetStream } from './connections.ts'
import type { Plane } from './plane.ts'
import { Report } from './reports.ts'
import type { Served } from './served.ts'

type Path = Exclude<RouteDecision, { kind: 'refuse' }>

/** One captured connection on its way out. */
interface Outgoing {
  readonly plane: Plane
  readonly served: Served
  readonly model: Workload
  readonly client: Socket
  readonly source: SocketAddress
  readonly destination: SocketAddress
  readonly report: Report
}

/**
 * Failures before the first byte that another endpoint may not have. A denial is none of them: it is the answer. Somebody else
 * at the address of an endpoint (IDENTITY_INVALID, TUNNEL_BAD_REQUEST) is: the endpoint moved, and the model is late.
 */
const retried: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CONNECT_FAILED',
  'IDENTITY_INVALID',
  'TUNNEL_BAD_REQUEST',
  'TUNNEL_UNAVAILABLE',
  'TUNNEL_HANDSHAKE',
  'TUNNEL_H2',
  'TUNNEL_TIMEOUT',
])

/** What is missing here is missing for every endpoint, and says nothing of them. */
const ownFailures: ReadonlySet<string> = new Set(['ENOBUFS', 'ENOMEM', 'EADDRINUSE', 'EADDRNOTAVAIL'])

/** Of a waypoint: none of its instances took the connection. */
const notThere: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CONNECT_FAILED', 'TUNNEL_HANDSHAKE', 'TUNNEL_H2'])

/** Between two looks whether it is back. */
const returning = { baseMs: 50, maxMs: 400 }

const none: ReadonlySet<string> = new Set()

/** Serves one accepted socket to its end. Never rejects. */
export async function handleOutbound(plane: Plane, served: Served, client: Socket): Promise<void> {
  const source = plane.sockets.remoteEnd(client)
  const local = plane.sockets.localEnd(client)
  if (source === undefined || local === undefined) return resetStream(client)
  const { destination, direct } = originalOf(plane, client, local)
  const facts: ConnectionFacts = { direction: 'outbound', owner: served, source, destination }
  const report = new Report(plane.telemetry, facts)
  report.source = served.model
  await carry(plane, facts, report, {
    establish: async (connection) => {
      watchClient(client, connection)
      const model = callerOf(served)
      const loop = refuseOutbound(served.local.addresses, destination, direct)
      if (loop !== undefined) throw loop
      const far = await reach({ plane, served, model, client, source, destination, report }, connection)
      return { near: client, far }
    },
    fail: () => resetStream(client),
  })
}

function callerOf(served: Served): Workload {
  if (served.model !== undefined) return served.model
  throw new MeshError('CONNECT_FAILED', `${served.uid} is not in the mesh's model yet: is the control plane reachable?`)
}

/** Nobody took the connection at a waypoint that may be coming back. */
class Away {
  readonly error: MeshError

  constructor(error: MeshError) {
    this.error = error
  }
}

/**
 * Connects to where the route leads. A waypoint without an instance that listens may be one that restarts, and nothing goes around
 * it: its callers wait for a moment.
 */
async function reach(outgoing: Outgoing, connection: Connection): Promise<Duplex> {
  const { plane } = outgoing
  const end = performance.now() + plane.waypointPatienceMs
  for (let attempt = 0; ; attempt += 1) {
    const far = await reachOnce(outgoing, connection)
    if (!(far instanceof Away)) return far
    const left = end - performance.now()
    if (left <= 0) throw far.error
    await sleep(Math.min(left, backoff(attempt, returning, plane.random)), connection.signal)
  }
}

/** Where that fails before a byte was sent, to other endpoints of the service, or instances of the waypoint, if any. */
async function reachOnce(outgoing: Outgoing, connection: Connection): Promise<Duplex | Away> {
  const { plane, report } = outgoing
  let tried = none
  let path = decide(outgoing, tried)
  if (path.kind === 'refuse') {
    report.service = path.service
    report.waypoint = nameOf(path.waypoint)
    if (path.waypoint?.waypoint !== undefined) return new Away(path.error)
    throw path.error
  }
  for (;;) {
    const { service, workload } = path
    const endpoint = service === undefined && waypointOn(path) === undefined ? undefined : workload?.uid
    if (endpoint !== undefined) plane.outliers.trying(endpoint)
    try {
      const far = await open(outgoing, path, tried, connection.signal)
      if (endpoint !== undefined) plane.outliers.succeeded(endpoint)
      return far
    } catch (error: unknown) {
      if (endpoint === undefined || connection.state !== 'connecting' || !elsewhere(error)) throw told(error, path)
      plane.outliers.failed(endpoint)
      tried = new Set([...tried, endpoint])
      const other: Path | undefined = anotherEndpoint(outgoing, tried)
      if (other === undefined) return ended(error, path)
      plane.otherEndpoints.add(1)
      plane.log.debug({ err: error, destination: formatSocketAddress(other.target) }, 'trying another endpoint')
      path = other
    }
  }
}

/** No endpoint is left to try. */
function ended(error: MeshError, path: Path): Away {
  const failure = told(error, path)
  if (waypointOn(path) === undefined || !notThere.has(error.code)) throw failure
  return new Away(failure)
}

function waypointOn(path: Path): NamedWaypoint | undefined {
  return path.kind === 'tunnel' ? path.waypoint : undefined
}

function nameOf(waypoint: NamedWaypoint | undefined): string | undefined {
  return waypoint === undefined ? undefined : waypointName(waypoint)
}

/** Says what stands there, where a waypoint could not be reached or refused. */
function told<E>(error: E, path: Path): E | MeshError {
  const waypoint = waypointOn(path)
  if (waypoint === undefined || !(error instanceof MeshError) || error.code === 'ABORTED') return error
  const place = `waypoint ${waypointName(waypoint)}, which stands before ${formatSocketAddress(path.target)}`
  const hint = error.code === 'TUNNEL_DENIED' ? '' : '; nothing goes around it: is its "culvert waypoint" running?'
  return new MeshError(error.code, `${place}: ${error.message}${hint}`, { cause: error })
}

/** Whether another endpoint may do better. */
function elsewhere(error: unknown): error is MeshError {
  return error instanceof MeshError && retried.has(error.code) && !ownFailures.has(systemCode(error) ?? '')
}

/** Without the endpoints that this connection tried, and without those that failed others a moment ago if any is left then. */
function decide(outgoing: Outgoing, tried: ReadonlySet<string>): RouteDecision {
  const { plane, model, destination } = outgoing
  const request = { source: model, destination, random: plane.random }
  const { avoided } = plane.outliers
  if (avoided.length > 0) {
    const decision = route(plane.snapshot, { ...request, exclude: new Set([...tried, ...avoided]) })
    if (decision.kind !== 'refuse') return decision
  }
  return route(plane.snapshot, { ...request, exclude: tried })
}

/** Another endpoint of the same service; undefined where there is none, or enough were tried. */
function anotherEndpoint(outgoing: Outgoing, tried: ReadonlySet<string>): Path | undefined {
  if (tried.size >= outboundLimits.maxEndpoints) return undefined
  const other = decide(outgoing, tried)
  return other.kind === 'refuse' ? undefined : other
}

async function open(outgoing: Outgoing, path: Path, tried: ReadonlySet<string>, signal: CancelSignal): Promise<Duplex> {
  const { plane, served, report } = outgoing
  report.service = path.service
  report.destination = path.workload
  report.waypoint = nameOf(waypointOn(path))
  if (path.kind === 'plain') {
    report.address = path.target
    report.authority = undefined
    return await plane.sockets.connectTcp({ workload: served.local, to: path.target, transparent: false, signal })
  }
  const key = tunnelKey(outgoing, path)
  report.address = path.peer
  report.authority = path.target
  await plane.certificates.wait(key.sourceIdentity, signal)
  const authority = formatSocketAddress(path.target)
  const patience = () => {
    const several = path.service !== undefined || path.waypoint !== undefined
    const others = several && anotherEndpoint(outgoing, new Set([...tried, path.workload.uid]))
    return others ? outboundLimits.patienceMs : undefined
  }
  const request = { authority, headers: headersOf(outgoing, path), patience }
  const { stream } = await plane.pool.connect(key, request, signal)
  return stream
}

function tunnelKey({ served, source }: Outgoing, path: Extract<Path, { kind: 'tunnel' }>): TunnelKey {
  return {
    sourceUid: served.uid,
    sourceAddress: sourceAddress(served, source, path.peer),
    sourceIdentity: served.local.identity,
    expectedIdentities: path.expectedIdentities,
    destination: path.peer,
    destinationUid: path.workload.uid,
  }
}

function sourceAddress(served: Served, source: SocketAddress, peer: SocketAddress): string {
  const own = sourceAddressFor(served.local.addresses, source.address, peer.address)
  if (own !== undefined) return own
  const family = familyOf(peer.address)
  throw new MeshError('CONNECT_FAILED', `${formatSocketAddress(peer)}: ${served.uid} has no ${family} address`)
}

function headersOf(
  { plane, model, source }: Outgoing,
  path: Path,
): Record<'baggage' | 'forwarded' | 'traceparent', string> {
  return {
    baggage: baggageOf(model, plane.snapshot.settings),
    forwarded: formatForwarded(source, path.service?.hostname),
    traceparent: newTraceparent(),
  }
}
