// Questions that are not the mesh's go to the nameservers of the workload that asks: in order, again within a deadline, and
// never more at a time than a bound. server.ts owns one per workload.
import { deadline } from '../../core/base/deadline.ts'
import { asMeshError, MeshError } from '../../core/base/errors.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import type { DnsCounters, DnsProtocol } from '../telemetry/dns-counters.ts'
import { exchangeTcp, exchangeUdp } from './exchange.ts'
import type { DnsSockets } from './sockets.ts'
import { type DnsQuery, flagBits, rcodes } from './wire.ts'

export interface ForwarderOptions {
  readonly sockets: DnsSockets
  readonly nameservers: readonly SocketAddress[]
  readonly counters: DnsCounters
  /** Whole time for one question, 5 s by default: libc asks again after that. */
  readonly deadlineMs?: number
  /** Questions under way at once, 512 by default. */
  readonly maxInFlight?: number
}

/** Codes by which a server says that another one may know better. */
const unhelpful: ReadonlySet<number> = new Set([rcodes.SERVFAIL, rcodes.REFUSED, rcodes.NOTIMP, rcodes.FORMERR])
const longestAttemptMs = 2000

export class Forwarder {
  readonly #options: ForwarderOptions
  readonly #deadlineMs: number
  readonly #maxInFlight: number
  #inFlight = 0

  constructor(options: ForwarderOptions) {
    this.#options = options
    this.#deadlineMs = options.deadlineMs ?? 5000
    this.#maxInFlight = options.maxInFlight ?? 512
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /**
   * The answer of the first nameserver that has one, under the query's id. Rejects with LIMIT_REACHED, CONNECT_FAILED or
   * TUNNEL_TIMEOUT where none answers.
   */
  async forward(query: DnsQuery, protocol: DnsProtocol, signal: AbortSignal): Promise<Buffer> {
    const { counters, nameservers } = this.#options
    if (nameservers.length === 0) throw new MeshError('CONNECT_FAILED', 'the workload has no usable nameserver')
    if (this.#inFlight >= this.#maxInFlight) {
      throw new MeshError('LIMIT_REACHED', `${this.#inFlight} forwarded DNS queries of this workload are under way`)
    }
    this.#inFlight++
    counters.upstreamRequests[protocol].add(1)
    try {
      return await this.#ask(query, protocol, deadline(this.#deadlineMs, signal))
    } catch (error: unknown) {
      counters.upstreamFailures[protocol].add(1)
      throw error
    } finally {
      this.#inFlight--
    }
  }

  /** Asks round after round: a server that is silent may have lost a datagram, one that fails outright is not asked again. */
  async #ask(query: DnsQuery, protocol: DnsProtocol, whole: AbortSignal): Promise<Buffer> {
    const exchange = protocol === 'udp' ? exchangeUdp : exchangeTcp
    const attemptMs = Math.min(longestAttemptMs, this.#deadlineMs / (this.#options.nameservers.length + 1))
    let servers = this.#options.nameservers
    let refusal: Buffer | undefined
    let failure: MeshError | undefined
    while (servers.length > 0 && !whole.aborted) {
      const silent: SocketAddress[] = []
      for (const server of servers) {
        if (whole.aborted) break
        try {
          const signal = deadline(attemptMs, whole)
          const answer = await exchange({ sockets: this.#options.sockets, server, query, signal })
          if (!unhelpful.has(answer.readUInt16BE(2) & flagBits.rcode)) return answer
          refusal = answer
        } catch (error: unknown) {
          failure = asMeshError(error, 'CONNECT_FAILED')
          if (failure.code === 'TUNNEL_TIMEOUT') silent.push(server)
        }
      }
      if (refusal !== undefined) return refusal
      servers = silent
    }
    throw failure ?? new MeshError('TUNNEL_TIMEOUT', 'no nameserver answered in time')
  }
}
