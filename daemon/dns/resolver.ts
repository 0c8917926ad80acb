// From the bytes of a query to the bytes of its answer, whatever it came over: the mesh's own answer, a forwarded one, or an
// error. server.ts and tcp.ts call it for every message.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { sleep } from '../../core/base/deadline.ts'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { Snapshot } from '../../core/model/snapshot.ts'
import type { DnsCounters, DnsProtocol } from '../telemetry/dns-counters.ts'
import { answer } from './answer.ts'
import type { Forwarder } from './forwarder.ts'
import { encodeAnswer, encodeBadVersion, encodeError } from './response.ts'
import { bareResponse, type DnsQuery, readQuery, truncatedCopy, udpLimit } from './wire.ts'

export interface ResolverOptions {
  readonly snapshot: Snapshot
  /** Namespace of the workload that asks. */
  readonly namespace: string
  readonly forwarder: Forwarder
  readonly counters: DnsCounters
  readonly log: Logger
  /** Drops queries under way. */
  readonly signal: AbortSignal
  readonly random?: () => number
}

const maxTcpBytes = 65_535
const quietLookMs = 10

export class Resolver {
  readonly #options: ResolverOptions
  /** Queries so far, and those that have no answer yet. */
  #taken = 0
  #underWay = 0

  constructor(options: ResolverOptions) {
    this.#options = options
  }

  /** The answer, or undefined for what must not be answered. Rejects only for defects. */
  async resolve(bytes: Buffer, protocol: DnsProtocol): Promise<Buffer | undefined> {
    this.#taken++
    this.#underWay++
    try {
      return await this.#resolve(bytes, protocol)
    } finally {
      this.#underWay--
    }
  }

  /** Resolves when nothing is under way and a whole turn of the event loop has brought no query (sockets are read empty), or late. */
  async quiet(limitMs: number): Promise<void> {
    const limit = performance.now() + limitMs
    while (performance.now() < limit) {
      const before = this.#taken
      // The reads of a turn come between its timers and its immediates; the first immediate may be of a turn that has read.
      await nextTurn()
      await nextTurn()
      if (this.#underWay > 0) await sleep(quietLookMs)
      else if (this.#taken === before) return
    }
  }

  async #resolve(bytes: Buffer, protocol: DnsProtocol): Promise<Buffer | undefined> {
    const { snapshot, namespace, counters, random } = this.#options
    counters.requests[protocol].add(1)
    const read = readQuery(bytes)
    if (read.kind === 'drop') return undefined
    if (read.kind === 'reject') return bareResponse(read.id, read.flags, read.rcode)
    const { query } = read
    const limitBytes = protocol === 'udp' ? udpLimit(query) : maxTcpBytes
    const decision = answer(snapshot, { namespace }, query.question, random)
    if (decision.kind === 'forward') return await this.#forward(query, protocol, limitBytes)
    if (query.edns !== undefined && query.edns.version > 0) return encodeBadVersion(query)
    return encodeAnswer(query, decision, limitBytes)
  }

  async #forward(query: DnsQuery, protocol: DnsProtocol, limitBytes: number): Promise<Buffer | undefined> {
    const { forwarder, signal, log } = this.#options
    try {
      const response = await forwarder.forward(query, protocol, signal)
      return response.length <= limitBytes ? response : truncatedCopy(response, query.question)
    } catch (error: unknown) {
      if (signal.aborted) return undefined
      log.debug({ err: asMeshError(error, 'CONNECT_FAILED'), name: query.question.name }, 'DNS query not answered')
      return encodeError(query, 'SERVFAIL')
    }
  }
}
