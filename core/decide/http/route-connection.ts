// Where a connection goes that is not HTTP, or whose TLS nobody opens: the rules of TCPRoute and TLSRoute, and `tcp` and `tls` of a
// VirtualService. Pure; the waypoint asks once per connection, `explain` asks the same function.

import type { Backend, ConnectionMatch, ConnectionRoute, RouteGroup, RouteTable } from '../../model/routes.ts'
import { canonicalAddress } from '../../net/address.ts'
import { CidrTrie } from '../../net/cidr.ts'
import { choose, sumsOf } from './choose.ts'

/** A connection as its rules see it. */
export interface RoutedConnection {
  /** Of the frontend: the port that the client connected to. */
  readonly port: number
  /** Canonical address that the client connected to. */
  readonly destination: string
  /** Canonical address of the caller. */
  readonly source: string
  /** From the verified identity of the caller; empty for a caller without one. */
  readonly sourceNamespace: string
  /** Of the calling workload, where it is known. */
  readonly sourceLabels?: Readonly<Record<string, string>>
  /** Of the ClientHello; undefined for a connection that is not TLS or names none. */
  readonly serverName: string | undefined
}

export type ConnectionDecision =
  /** No rule speaks of connections: to the Service that the client asked for. */
  | { readonly kind: 'unrouted' }
  | {
      readonly kind: 'forward'
      readonly route: ConnectionRoute
      readonly backend: Backend & { readonly kind: 'service' }
    }
  /** `route` undefined: no rule holds. */
  | { readonly kind: 'refuse'; readonly reason: string; readonly route: ConnectionRoute | undefined }

type Test = (connection: RoutedConnection) => boolean

interface CompiledRoute {
  readonly route: ConnectionRoute
  readonly holds: Test
  readonly sums: readonly number[]
}

/** A table ready for connections. */
export interface ConnectionRouting {
  readonly everyone: readonly CompiledRoute[] | undefined
  /** A namespace with a group of its own whose group says nothing of connections has undefined. */
  readonly consumers: ReadonlyMap<string, readonly CompiledRoute[] | undefined>
}

/**
 * Whether the clients of a namespace may speak HTTP with the frontend as far as its routes go: a group that only speaks of connections
 * takes every one as it comes, so nobody may look into it.
 */
export function takesHttp(table: RouteTable, namespace: string): boolean {
  const group = groupFor(table, namespace)
  return group?.connections === undefined || group.routes.length > 0
}

function groupFor({ consumers, everyone }: RouteTable, namespace: string): RouteGroup | undefined {
  return Object.hasOwn(consumers, namespace) ? consumers[namespace] : everyone
}

/** Whether a rule asks for the server name, so that the ClientHello must be waited for. */
export function asksServerName(table: RouteTable, namespace: string): boolean {
  const connections = groupFor(table, namespace)?.connections ?? []
  return connections.some(({ matches }) => matches.some(({ serverNames }) => serverNames !== undefined))
}

export function compileConnections({ everyone, consumers }: RouteTable): ConnectionRouting {
  const compiled = (group: RouteGroup | undefined) => group?.connections?.map(compileRoute)
  return {
    everyone: compiled(everyone),
    consumers: new Map(Object.entries(consumers).map(([namespace, group]) => [namespace, compiled(group)])),
  }
}

/** @param random in [0, 1), for the weights */
export function routeConnection(
  { everyone, consumers }: ConnectionRouting,
  connection: RoutedConnection,
  random: number,
): ConnectionDecision {
  const { sourceNamespace } = connection
  const routes = consumers.has(sourceNamespace) ? consumers.get(sourceNamespace) : everyone
  if (routes === undefined) return { kind: 'unrouted' }
  const found = routes.find(({ holds }) => holds(connection))
  if (found === undefined) return { kind: 'refuse', reason: 'no rule matches', route: undefined }
  const { route, sums } = found
  const backend = route.destinations[choose(sums, random)]?.backend
  if (backend?.kind === 'service') return { kind: 'forward', route, backend }
  const reason = backend === undefined ? 'no backend has a weight' : `${backend.reason}: ${backend.message}`
  return { kind: 'refuse', reason, route }
}

function compileRoute(route: ConnectionRoute): CompiledRoute {
  const tests = route.matches.map(compileMatch)
  const holds: Test = tests.length === 0 ? () => true : (connection) => tests.some((test) => test(connection))
  return { route, holds, sums: sumsOf(route.destinations.map(({ weight }) => weight)) }
}

function compileMatch(match: ConnectionMatch): Test {
  const { serverNames, port, destinationBlocks, sourceBlocks, sourceNamespace, sourceLabels } = match
  const tests: Test[] = []
  if (serverNames !== undefined) tests.push(({ serverName }) => serverNames.some((name) => isNamed(serverName, name)))
  if (port !== undefined) tests.push((connection) => connection.port === port)
  if (destinationBlocks !== undefined) {
    const within = blockTest(destinationBlocks)
    tests.push(({ destination }) => within(destination))
  }
  if (sourceBlocks !== undefined) {
    const within = blockTest(sourceBlocks)
    tests.push(({ source }) => within(source))
  }
  if (sourceNamespace !== undefined) tests.push((connection) => connection.sourceNamespace === sourceNamespace)
  if (sourceLabels !== undefined) {
    const entries = Object.entries(sourceLabels)
    tests.push(({ sourceLabels: labels = {} }) =>
      entries.every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value),
    )
  }
  return (connection) => tests.every((test) => test(connection))
}

/** `*` alone stands for every name, `*.domain` for one or more labels in front of the domain. */
function isNamed(serverName: string | undefined, pattern: string): boolean {
  if (serverName === undefined) return false
  const name = serverName.toLowerCase()
  if (!pattern.startsWith('*')) return name === pattern
  return name.length > pattern.length - 1 && name.endsWith(pattern.slice(1))
}

function blockTest(blocks: readonly string[]): (address: string) => boolean {
  const ranges = new CidrTrie<true>()
  for (const block of blocks) ranges.insert(block, true)
  return (address) => {
    const canonical = canonicalAddress(address)
    return canonical !== undefined && ranges.matches(canonical)
  }
}
