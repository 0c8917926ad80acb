// One request on its way through the layers: what was asked, as routing and policy see it, and what the layers hold for it until its
// answer has ended. Made by stack.ts; each layer writes its own part.
import type { RouteOrigin } from '../../core/model/routes.ts'
import type { Endpoint } from '../balance/endpoint-table.ts'
import type { Permit } from '../circuit/circuit.ts'
import { type Cluster, servingFacts } from '../clusters/cluster.ts'
import type { ServingFacts } from '../clusters/endpoints.ts'
import { type Answer, Exchange, type Origin } from '../exchange.ts'
import { emptyBody } from '../http/body.ts'
import type { FailureKind, ResponseFlag } from '../http/failure.ts'
import type { ExchangeReport } from '../report.ts'
import type { RetryVerdict } from '../retry/retrier.ts'
import { ClientBody } from './client-body.ts'
import type { RequestDeadline } from './deadline.ts'
import type { JudgedRequest, StackDeps } from './deps.ts'

const noFlags: readonly ResponseFlag[] = []
const noIds: readonly string[] = []

export class RequestContext implements JudgedRequest, ExchangeReport {
  readonly exchange: Exchange
  readonly origin: Origin
  readonly deps: StackDeps
  readonly method: string
  readonly authority: string
  readonly path: string
  readonly query: string | undefined
  readonly port: number
  claims: Readonly<Record<string, unknown>> | undefined
  /** Undefined where there is no body. */
  readonly body: ClientBody | undefined

  route: RouteOrigin | undefined
  cluster: Cluster | undefined
  reason = ''
  wouldRefuse: readonly string[] = noIds
  flags: readonly ResponseFlag[] = noFlags

  /** What goes upstream now: the client's own exchange, or one that can be given up without it. */
  attempt: Exchange
  attempts = 0
  tryStartedAt = 0
  endpointInUse: Endpoint | undefined
  /** Where its session says that it belongs. */
  pinned: Endpoint | undefined
  /** Where it has been, as far as these are to be avoided. */
  tried: Set<Endpoint> | undefined
  otherLocalities = false
  place: Permit | undefined
  deadline: RequestDeadline | undefined
  /** Ends the retries: gives back the place of the last. */
  retrier: { after(outcome: never): RetryVerdict; close(): void } | undefined

  status = 0
  grpcStatus: number | undefined
  answeredAt = 0
  endedAt = 0
  responseBytes = 0
  ending: FailureKind | undefined
  #lastEndpoint: ServingFacts | undefined
  #settled = false
  #follows = false

  constructor(exchange: Exchange, path: string, query: string | undefined, deps: StackDeps) {
    this.exchange = exchange
    this.attempt = exchange
    this.deps = deps
    this.origin = exchange.origin
    this.method = exchange.head.method
    this.authority = exchange.head.authority
    this.path = path
    this.query = query
    this.port = exchange.origin.destination.port
    if (exchange.body.length === 0) this.body = undefined
    else {
      this.body = new ClientBody(exchange.body)
      exchange.body = this.body.forTry()
    }
  }

  get scheme(): 'http' | 'https' {
    return this.exchange.head.scheme === 'https' ? 'https' : 'http'
  }

  get sourceNamespace(): string {
    return this.origin.identity.namespace
  }

  get sourceLabels(): Readonly<Record<string, string>> {
    return this.origin.workload?.labels ?? {}
  }

  header(name: string): string | undefined {
    const fields = this.exchange.head.headers.flat
    let value: string | undefined
    for (let at = 0; at < fields.length; at += 2) {
      if (fields[at] === name) value = value === undefined ? fields[at + 1]! : `${value},${fields[at + 1]}`
    }
    return value
  }

  claim(path: readonly string[]): readonly string[] | undefined {
    let value: unknown = this.claims
    for (const name of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
      value = (value as Readonly<Record<string, unknown>>)[name]
    }
    if (value === undefined || value === null) return undefined
    return Array.isArray(value) ? value.map(String) : [String(value)]
  }

  get requestBytes(): number {
    return this.body?.bytes ?? 0
  }

  get endpoint(): ServingFacts | undefined {
    return this.#lastEndpoint
  }

  get settled(): boolean {
    return this.#settled
  }

  flag(flag: ResponseFlag): void {
    if (!this.flags.includes(flag)) this.flags = [...this.flags, flag]
  }

  /** A try goes to this endpoint; its load counts until `endTry`. */
  begin(endpoint: Endpoint): void {
    endpoint.began()
    this.endpointInUse = endpoint
    this.#lastEndpoint = servingFacts(endpoint.facts)
  }

  endTry(): void {
    this.endpointInUse?.ended()
    this.endpointInUse = undefined
  }

  /** An exchange for the next try that can be given up for itself. */
  renewAttempt(): void {
    const { exchange, body } = this
    this.attempt = new Exchange({
      origin: exchange.origin,
      protocol: exchange.protocol,
      head: exchange.head,
      body: body === undefined ? emptyBody : body.forTry(),
      upgrade: exchange.upgrade,
      expectContinue: exchange.expectContinue,
      onInformational: (head) => exchange.informational(head),
      startedAt: exchange.startedAt,
    })
    if (this.#follows) return
    this.#follows = true
    exchange.onAbandoned((reason) => this.attempt.abandon(reason))
  }

  /** The answer is on its way: nothing is tried again from here. */
  answered(answer: Answer): void {
    this.status = answer.head.status
    this.answeredAt = this.deps.clock()
    if (answer.flag !== undefined) this.flag(answer.flag)
    const status = answer.head.headers.get('grpc-status')
    if (status !== undefined) this.grpcStatus = Number(status)
    if (this.endpointInUse === undefined) this.body?.unwanted()
    else this.body?.lastTry()
    if (answer.upgraded === true) this.deadline?.stop()
  }

  /** All is over: gives everything back and tells. Once. @param ending how, undefined in order */
  settle(ending: FailureKind | undefined): void {
    if (this.#settled) return
    this.#settled = true
    this.ending = ending
    this.endedAt = this.deps.clock()
    this.deadline?.stop()
    this.endTry()
    this.body?.settle()
    this.retrier?.close()
    this.place?.release()
    this.deps.telemetry.exchangeEnded(this)
  }
}
