// Which endpoint of a service serves a connection: healthy, has the port, at random by weight. Pure; used by route.ts
// and, for all endpoints at once, by `explain`.

import type { Workload } from '../model/types.ts'
import type { AddressFamily, SocketAddress } from '../net/address.ts'
import { familyOf } from '../net/address.ts'

export interface Endpoint {
  readonly workload: Workload
  /** One of the workload's addresses and its port for the service port. */
  readonly target: SocketAddress
}

/** Endpoints of one service and port that may serve, with the running sum of their weights for a draw by bisection. */
interface Candidates {
  readonly endpoints: readonly Endpoint[]
  readonly sums: readonly number[]
}

export interface BalanceRequest {
  /** Key of the service. */
  readonly service: string
  /** Port on the service. */
  readonly port: number
  /** Preferred family of the endpoint's address. */
  readonly family: AddressFamily
  /** [0, 1). */
  readonly random: () => number
  /** uids that were tried already. */
  readonly exclude?: ReadonlySet<string> | undefined
}

/** A snapshot hands out the same endpoint array until a member changes, so the work is done once per array. */
const memory = new WeakMap<readonly Workload[], Map<string, Candidates>>()

/** Draws an endpoint, or undefined where none may serve. Weight 0 gets nothing unless all have weight 0. */
export function pickEndpoint(members: readonly Workload[], request: BalanceRequest): Endpoint | undefined {
  const { exclude, random } = request
  if (members.length === 0) return undefined
  const known = remembered(members, request)
  const candidates = exclude === undefined || exclude.size === 0 ? known : without(known, exclude)
  const { endpoints, sums } = candidates
  const total = sums.at(-1)
  if (total === undefined) return undefined
  if (total === 0) return endpoints[Math.floor(random() * endpoints.length)]
  return endpoints[bisect(sums, random() * total)]
}

function remembered(members: readonly Workload[], request: BalanceRequest): Candidates {
  let tables = memory.get(members)
  if (tables === undefined) {
    tables = new Map()
    memory.set(members, tables)
  }
  const key = `${request.port} ${request.family} ${request.service}`
  let candidates = tables.get(key)
  if (candidates === undefined) {
    candidates = weigh(members.flatMap((workload) => endpointOf(workload, request) ?? []))
    tables.set(key, candidates)
  }
  return candidates
}

function endpointOf(workload: Workload, request: BalanceRequest): Endpoint | undefined {
  const found = consider(workload, request)
  return typeof found === 'string' ? undefined : found
}

/** The endpoint, or why the workload cannot be one. */
function consider(workload: Workload, { service, port, family }: BalanceRequest): Endpoint | string {
  if (workload.health !== 'healthy') return 'it is not healthy'
  const membership = workload.services.find((candidate) => candidate.service === service)
  const key = String(port)
  const targetPort =
    membership !== undefined && Object.hasOwn(membership.ports, key) ? membership.ports[key] : undefined
  const address = workload.addresses.find((each) => familyOf(each) === family) ?? workload.addresses[0]
  if (targetPort === undefined) return `it has no port for port ${port} of the service`
  if (address === undefined) return 'it has no address'
  return { workload, target: { address, port: targetPort } }
}

export interface Share {
  readonly endpoint: Endpoint
  /** Of the connections, in (0, 1]. */
  readonly share: number
  /** A value of `random` for which `pickEndpoint` picks this endpoint. */
  readonly draw: number
}

/** All that `pickEndpoint` may pick, for `explain`, and the members that get nothing with the reason. */
export function sharesOf(
  members: readonly Workload[],
  request: Omit<BalanceRequest, 'random'>,
): {
  readonly shares: readonly Share[]
  readonly without: readonly { readonly workload: Workload; readonly because: string }[]
} {
  const full = { ...request, random: () => 0 }
  const { endpoints, sums } = members.length === 0 ? { endpoints: [], sums: [] } : remembered(members, full)
  const total = sums.at(-1) ?? 0
  const shares = endpoints.map((endpoint, index) => {
    const from = sums[index - 1] ?? 0
    const weight = endpoint.workload.weight
    if (total === 0) return { endpoint, share: 1 / endpoints.length, draw: (index + 0.5) / endpoints.length }
    return { endpoint, share: weight / total, draw: (from + weight / 2) / total }
  })
  const serving = new Set(endpoints.map(({ workload }) => workload))
  const without = members.flatMap((workload) => {
    if (serving.has(workload)) return []
    const found = consider(workload, full)
    const because = typeof found === 'string' ? found : 'its weight is 0: it serves once the others have failed'
    return [{ workload, because }]
  })
  return { shares, without }
}

function without({ endpoints }: Candidates, exclude: ReadonlySet<string>): Candidates {
  return weigh(endpoints.filter(({ workload }) => !exclude.has(workload.uid)))
}

function weigh(all: readonly Endpoint[]): Candidates {
  const weighty = all.filter(({ workload }) => workload.weight > 0)
  const endpoints = weighty.length > 0 ? weighty : all
  let sum = 0
  const sums = endpoints.map(({ workload }) => {
    sum += workload.weight
    return sum
  })
  return { endpoints, sums }
}

/** Index of the first sum above `draw`. */
function bisect(sums: readonly number[], draw: number): number {
  let low = 0
  let high = sums.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sums[middle]! > draw) high = middle
    else low = middle + 1
  }
  return low
}
