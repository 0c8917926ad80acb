// A waypoint's stack without sockets: a model over plain maps, an upstream that the test plays, and time that the test moves.
import type { Destination, DestinationPolicy } from '../../core/model/destinations.ts'
import type { RateLimit } from '../../core/model/rate-limits.ts'
import type { Route, RouteTable, WeightedDestination } from '../../core/model/routes.ts'
import { serviceKey } from '../../core/model/snapshot.ts'
import type { Service, Workload } from '../../core/model/types.ts'
import { type Answer, Exchange, type ExchangeFacts, type Origin } from '../../waypoint/exchange.ts'
import { type Body, BodyChannel, bodyOf, emptyBody } from '../../waypoint/http/body.ts'
import { Failure, type FailureKind } from '../../waypoint/http/failure.ts'
import { Headers } from '../../waypoint/http/message.ts'
import { LocalBuckets } from '../../waypoint/ratelimit/token-bucket.ts'
import type { ExchangeReport, MirrorReport, TryEnd } from '../../waypoint/report.ts'
import type { RoutingModel } from '../../waypoint/routing-model.ts'
import { buildStack, type StackOptions } from '../../waypoint/stack.ts'
import type { Upstream, UpstreamTarget } from '../../waypoint/upstream/upstream.ts'

/** Seeded: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Lets all promises that can go on do so. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export class Time {
  now = 1_000
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>()

  readonly timers = {
    start: (callback: () => void, ms: number): object => {
      const timer = { at: this.now + ms, callback }
      this.#timers.add(timer)
      return timer
    },
    stop: (timer: object): void => {
      this.#timers.delete(timer as never)
    },
  }

  get waiting(): number {
    return this.#timers.size
  }

  /** Goes on by so much; timers fire in their order, each with the time that is its own. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms
    await settled()
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#timers.delete(next)
      this.now = Math.max(this.now, next.at)
      next.callback()
      await settled()
    }
    this.now = end
    await settled()
  }
}

export function workload(name: string, more: Partial<Workload> = {}): Workload {
  return {
    uid: `uid-${name}`,
    name,
    namespace: 'shop',
    serviceAccount: 'orders',
    trustDomain: 'cluster.local',
    node: 'h1',
    addresses: [`10.0.0.${name.length + name.charCodeAt(name.length - 1)}`],
    labels: { app: 'orders' },
    enrolled: true,
    protocol: 'HBONE',
    health: 'healthy',
    locality: '',
    weight: 1,
    services: [{ service: 'shop/orders.shop.svc.cluster.local', ports: { '80': 8080 } }],
    peerAuthentication: { mode: 'PERMISSIVE', ports: {} },
    authorizations: [],
    ...more,
  }
}

export function service(name: string, more: Partial<Service> = {}): Service {
  return {
    namespace: 'shop',
    name,
    hostname: `${name}.shop.svc.cluster.local`,
    vips: ['240.240.0.1'],
    headless: false,
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    identities: [],
    loadBalancing: 'random',
    ...more,
  }
}

export const keyOf = (name: string): string => `shop/${name}.shop.svc.cluster.local`

export function toService(name: string, weight = 1, more: Partial<WeightedDestination> = {}): WeightedDestination {
  const backend = {
    kind: 'service',
    service: keyOf(name),
    hostname: `${name}.shop.svc.cluster.local`,
    port: 80,
  } as const
  return { weight, backend, filters: {}, ...more }
}

export function route(more: Partial<Route> = {}): Route {
  return {
    origin: { kind: 'HTTPRoute', namespace: 'shop', name: 'route', index: 0 },
    matches: [],
    action: { kind: 'forward', destinations: [toService('orders')] },
    filters: {},
    ...more,
  }
}

/** What a test changes, then says `update`. */
export class Model implements RoutingModel {
  readonly services = new Map<string, Service>()
  readonly workloads = new Map<string, Workload>()
  readonly tables = new Map<string, RouteTable>()
  readonly destinations = new Map<string, readonly Destination[]>()
  readonly limits = new Map<string, readonly RateLimit[]>()
  #members = new Map<string, readonly Workload[]>()

  add(...all: readonly (Service | Workload)[]): void {
    for (const each of all) {
      if ('uid' in each) this.workloads.set(each.uid, each)
      else this.services.set(serviceKey(each), each)
    }
    this.#members = new Map()
  }

  remove(uid: string): void {
    this.workloads.delete(uid)
    this.#members = new Map()
  }

  route(...routes: readonly Route[]): void {
    const everyone = { precedence: 'first', routes } as const
    this.tables.set(`${keyOf('orders')} 80`, { service: keyOf('orders'), port: 80, everyone, consumers: {} })
  }

  treat(policy: DestinationPolicy, more: Partial<Destination> = {}, name = 'orders'): void {
    const said = { service: keyOf(name), source: 'shop/rule', policy, ports: {}, subsets: [], ...more }
    this.destinations.set(keyOf(name), [said as unknown as Destination])
  }

  serviceByKey = (key: string) => this.services.get(key)
  workloadByUid = (uid: string) => this.workloads.get(uid)
  routesOf = (key: string, port: number) => this.tables.get(`${key} ${port}`)
  destinationsOf = (key: string) => this.destinations.get(key) ?? none
  rateLimitsOf = (key: string) => this.limits.get(key) ?? none

  endpointsOf(key: string): readonly Workload[] {
    let members = this.#members.get(key)
    if (members === undefined) {
      members = [...this.workloads.values()].filter(({ services }) => services.some((each) => each.service === key))
      this.#members.set(key, members)
    }
    return members
  }
}

const none: readonly never[] = []

/** One try as the upstream sees it. */
export class FakeTry {
  readonly exchange: Exchange
  readonly target: UpstreamTarget
  /** As the try was sent: layers may change the head afterwards. */
  readonly path: string
  readonly authority: string
  readonly headers: Headers
  readonly at: number
  body = ''
  bodyEnded = false
  over = false
  readonly #resolve: (answer: Answer) => void
  readonly #reject: (failure: Failure) => void
  #channel: BodyChannel | undefined

  constructor(
    exchange: Exchange,
    target: UpstreamTarget,
    at: number,
    resolve: (answer: Answer) => void,
    reject: (failure: Failure) => void,
  ) {
    this.exchange = exchange
    this.target = target
    this.at = at
    this.path = exchange.head.path
    this.authority = exchange.head.authority
    this.headers = exchange.head.headers.copy()
    this.#resolve = resolve
    this.#reject = reject
    exchange.onAbandoned(() => {
      this.over = true
      const failure = new Failure('client', 'abandoned')
      reject(failure)
      this.#channel?.fail(failure)
    })
  }

  readBody(): void {
    this.exchange.body.read({
      onData: (chunk) => {
        this.body += chunk.toString()
      },
      onEnd: () => {
        this.bodyEnded = true
      },
      onError: () => {},
    })
  }

  answer(status: number, headers: Readonly<Record<string, string>> = {}, body: Body | string = ''): void {
    this.over = true
    const fields = new Headers(Object.entries(headers).flat())
    this.#resolve({
      head: { status, headers: fields },
      body: typeof body === 'string' ? bodyOf(Buffer.from(body)) : body,
    })
  }

  /** An answer whose body the test goes on with. */
  stream(status: number, headers: Readonly<Record<string, string>> = {}, upgraded = false): BodyChannel {
    this.over = true
    this.#channel = new BodyChannel({})
    const head = { status, headers: new Headers(Object.entries(headers).flat()) }
    this.#resolve({ head, body: this.#channel, upgraded })
    return this.#channel
  }

  fail(kind: FailureKind, requestStarted = false): void {
    this.over = true
    this.#reject(new Failure(kind, `made to fail: ${kind}`, { requestStarted }))
  }
}

export type Script = (attempt: FakeTry) => void

export class FakeUpstream implements Upstream {
  readonly tries: FakeTry[] = []
  /** What it does with each try; undefined: the test does. */
  script: Script | undefined = (attempt) => attempt.answer(200)
  /** Whether it reads bodies at once. */
  reads = true
  readonly #time: Time

  constructor(time: Time) {
    this.#time = time
  }

  send(exchange: Exchange, target: UpstreamTarget): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const attempt = new FakeTry(exchange, target, this.#time.now, resolve, reject)
    this.tries.push(attempt)
    if (this.reads) attempt.readBody()
    this.script?.(attempt)
    return promise
  }

  /** Names of the workloads in the order of the tries. */
  get names(): readonly string[] {
    return this.tries.map(({ target }) => target.workload.name)
  }

  get last(): FakeTry {
    return this.tries.at(-1)!
  }
}

export interface Received {
  readonly status: number
  readonly headers: Headers
  readonly body: string
  readonly trailers: Headers | undefined
  readonly failure: Failure | undefined
  readonly upgraded: boolean
}

export function receive(answer: Answer): Promise<Received> {
  const { promise, resolve } = Promise.withResolvers<Received>()
  const { status, headers } = answer.head
  const upgraded = answer.upgraded === true
  let body = ''
  answer.body.read({
    onData: (chunk) => {
      body += chunk.toString()
    },
    onEnd: (trailers) => resolve({ status, headers, body, trailers, failure: undefined, upgraded }),
    onError: (failure) => resolve({ status, headers, body, trailers: undefined, failure, upgraded }),
  })
  return promise
}

/** A report is read during the call: this is what tests look at afterwards. */
export type Told = Pick<
  ExchangeReport,
  | 'status'
  | 'grpcStatus'
  | 'flags'
  | 'attempts'
  | 'reason'
  | 'ending'
  | 'requestBytes'
  | 'responseBytes'
  | 'wouldRefuse'
> & { readonly route: string | undefined; readonly endpoint: string | undefined; readonly ms: number }

export interface Asked extends Partial<Omit<ExchangeFacts, 'head' | 'body'>> {
  readonly method?: string
  readonly path?: string
  readonly authority?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Body | string
}

export function scene(options: Partial<StackOptions> & { readonly seed?: number } = {}) {
  const time = new Time()
  const model = new Model()
  model.add(service('orders'), workload('v1'))
  const upstream = new FakeUpstream(time)
  const told: Told[] = []
  const tries: TryEnd[] = []
  const mirrored: MirrorReport[] = []
  let ids = 0
  const local = new LocalBuckets(1_000)
  const stack = buildStack({
    model,
    upstream,
    timers: time.timers,
    clock: () => time.now,
    date: () => 1_700_000_000_000 + time.now,
    random: seeded(options.seed ?? 1),
    requestId: () => `id-${++ids}`,
    token: () => `token${++ids}`,
    place: () => ({ locality: '', labels: {} }),
    buckets: { local, mesh: local },
    telemetry: {
      exchangeEnded: (report) => {
        const { status, grpcStatus, flags, attempts, reason, ending, requestBytes, responseBytes, wouldRefuse } = report
        const endpoint = report.endpoint?.upstream.workload.name
        const ms = report.endedAt - report.exchange.startedAt
        const facts = { status, grpcStatus, flags, attempts, reason, ending, requestBytes, responseBytes, wouldRefuse }
        told.push({ ...facts, endpoint, route: report.route?.name, ms })
      },
      tryEnded: (_, end) => void tries.push(end),
      mirrorEnded: (report) => void mirrored.push(report),
    },
    ...options,
  })
  const origin: Origin = {
    identity: { trustDomain: 'cluster.local', namespace: 'web', serviceAccount: 'frontend' },
    principal: 'spiffe://cluster.local/ns/web/sa/frontend',
    address: { address: '10.9.9.9', port: 40_000 },
    workload: workload('caller', { namespace: 'web', services: [], labels: { app: 'frontend' } }),
    destination: { address: '240.240.0.1', port: 80 },
    service: model.serviceByKey(keyOf('orders')),
    target: undefined,
  }
  const exchange = (asked: Asked = {}): Exchange => {
    const { method = 'GET', path = '/', authority = 'orders', headers = {}, body = '', ...facts } = asked
    const head = { method, scheme: 'http', authority, path, headers: new Headers(Object.entries(headers).flat()) }
    const bytes = typeof body === 'string' ? (body === '' ? emptyBody : bodyOf(Buffer.from(body))) : body
    return new Exchange({ origin, protocol: 'http/1.1', head, body: bytes, startedAt: time.now, ...facts })
  }
  const ask = async (asked: Asked = {}): Promise<Received> => receive(await stack.handle(exchange(asked)))
  const grpc = (asked: Asked = {}): Asked => ({
    method: 'POST',
    protocol: 'h2',
    path: '/shop.Orders/Get',
    body: 'call',
    ...asked,
    headers: { 'content-type': 'application/grpc', ...asked.headers },
  })
  return { time, model, upstream, told, tries, mirrored, stack, origin, exchange, ask, grpc }
}
