// How a connection to an endpoint comes about: through a tunnel under the waypoint's own certificate, with the caller's name in it, or
// plain where the endpoint has no tunnel. Handed to the pool, and to what passes raw TCP on.
import type { Duplex } from 'node:stream'
import { asMeshError, type ErrorCode, MeshError } from '../../core/base/errors.ts'
import { formatForwarded } from '../../core/hbone/forwarded.ts'
import type { TunnelPool } from '../../core/hbone/pool.ts'
import type { TunnelHeaders } from '../../core/hbone/types.ts'
import { workloadIdentity } from '../../core/model/canonical.ts'
import { ports } from '../../core/model/ports.ts'
import { familyOf, formatSocketAddress, isLinkLocal, isLoopback, type SocketAddress } from '../../core/net/address.ts'
import type { Origin } from '../exchange.ts'
import { Failure } from '../http/failure.ts'
import type { UpstreamTarget } from './upstream.ts'

/** The waypoint's own workload, as its tunnels show it. */
export interface DiallingWorkload {
  readonly uid: string
  readonly addresses: readonly string[]
  /** SPIFFE URI. */
  readonly identity: string
}

export interface DialOptions {
  readonly tunnels: Pick<TunnelPool, 'connect'>
  readonly self: () => DiallingWorkload
  /** A TCP connection from one of our addresses. Rejects with a MeshError. */
  readonly connectPlain: (from: string | undefined, to: SocketAddress, signal: AbortSignal) => Promise<Duplex>
  /** W3C baggage that names the caller's workload. */
  readonly baggageOf?: ((origin: Origin) => string | undefined) | undefined
  readonly newTraceparent?: (() => string) | undefined
  /** SPIFFE URIs that servers behind a service may present besides the endpoint's own. */
  readonly identitiesOf?: ((serviceHostname: string) => readonly string[]) | undefined
  /** Why nobody is connected to at an address; undefined where it is one like others. */
  readonly refuses?: ((address: string) => string | undefined) | undefined
  /** Where the tunnels of endpoints are; another one in tests. */
  readonly tunnelPort?: number
}

/**
 * What no endpoint of others is, whatever an entry says: who may write the address of a workload must not reach the waypoint itself, its
 * admin server on loopback, or what a cloud tells the machine under it. Kubernetes refuses the same addresses for endpoints.
 */
export function refusesOwn(own: readonly string[]): (address: string) => string | undefined {
  return (address) => {
    if (isLoopback(address) || address === '0.0.0.0' || address === '::') return `${address} is the waypoint's own host`
    if (isLinkLocal(address)) return `${address} is a link-local address`
    return own.includes(address) ? `${address} is the waypoint itself` : undefined
  }
}

/** Rejects with Failure `denied` where the endpoint's end denies it, else `connect`, whose cause is the MeshError. */
export type DialEndpoint = (origin: Origin, target: UpstreamTarget, signal: AbortSignal) => Promise<Duplex>

export function dialEndpoint(options: DialOptions): DialEndpoint {
  return async (origin, target, signal) => {
    try {
      const refusal = options.refuses?.(target.address.address)
      if (refusal !== undefined) throw new MeshError('CONNECT_FAILED', refusal)
      return await (target.workload.protocol === 'TCP'
        ? plain(options, target, signal)
        : tunnelled(options, origin, target, signal))
    } catch (error: unknown) {
      throw failureOf(error)
    }
  }
}

function plain(options: DialOptions, { address }: UpstreamTarget, signal: AbortSignal): Promise<Duplex> {
  return options.connectPlain(ownAddress(options.self(), address), address, signal)
}

async function tunnelled(
  options: DialOptions,
  origin: Origin,
  target: UpstreamTarget,
  signal: AbortSignal,
): Promise<Duplex> {
  const { workload, address, service } = target
  const self = options.self()
  const others = service === undefined ? [] : (options.identitiesOf?.(service) ?? [])
  const key = {
    sourceUid: self.uid,
    sourceAddress: ownAddress(self, address) ?? '',
    sourceIdentity: self.identity,
    expectedIdentities: [...new Set([workloadIdentity(workload), ...others])],
    destination: { address: address.address, port: options.tunnelPort ?? ports.hbone },
    destinationUid: workload.uid,
  }
  const request = { authority: formatSocketAddress(address), headers: headersFor(options, origin, service) }
  const { stream } = await options.tunnels.connect(key, request, signal)
  return stream
}

function headersFor(options: DialOptions, origin: Origin, service: string | undefined): TunnelHeaders {
  const baggage = options.baggageOf?.(origin)
  const traceparent = options.newTraceparent?.()
  return {
    ...(baggage === undefined ? {} : { baggage }),
    ...(traceparent === undefined ? {} : { traceparent }),
    forwarded: formatForwarded(origin.address, service),
    source: origin.principal,
  }
}

/** Our address of the family of `to`; undefined where the kernel is to choose, or to refuse. */
function ownAddress({ addresses }: DiallingWorkload, to: SocketAddress): string | undefined {
  const family = familyOf(to.address)
  return addresses.find((address) => familyOf(address) === family)
}

const denials: ReadonlySet<ErrorCode> = new Set(['TUNNEL_DENIED', 'POLICY_DENIED'])

/** Nothing of a request was sent, whatever it was. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  const { code, message } = asMeshError(error, 'CONNECT_FAILED')
  return new Failure(denials.has(code) ? 'denied' : 'connect', message, { cause: error })
}
