// The configuration of `culvert waypoint`: one row per field. docs/CONFIG.md is written from it; the CLI makes flags of it.
import { type Config, optionalRow, requiredRow, row } from '../core/base/config.ts'
import {
  durationMs,
  enumOf,
  hostPort,
  integer,
  list,
  type Parser,
  path,
  someOf,
  string,
  unlimitedOr,
} from '../core/base/parsers.ts'
import { canonicalAddress, isLoopback } from '../core/net/address.ts'

export interface GatewayName {
  readonly namespace: string
  readonly name: string
}

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

const gatewayName: Parser<GatewayName> = {
  type: 'namespace/name',
  parse: (text) => {
    const [namespace = '', name = '', more] = text.split('/')
    return label.test(namespace) && label.test(name) && more === undefined
      ? { ok: true, value: { namespace, name } }
      : { ok: false, reason: 'must be the namespace and the name of a Gateway, as in shop/wp' }
  },
}

const instanceName: Parser<string> = {
  type: 'name',
  parse: (text) =>
    label.test(text)
      ? { ok: true, value: text }
      : { ok: false, reason: 'must be at most 63 lower-case letters, digits and "-"' },
}

/** Where daemons reach it: an address of its own, which the mesh knows it by. */
const ownAddress: Parser<string> = {
  type: 'IP address',
  parse: (text) => {
    const address = canonicalAddress(text)
    if (address === undefined) return { ok: false, reason: `${JSON.stringify(text.slice(0, 60))} is not an IP address` }
    if (address === '0.0.0.0' || address === '::' || isLoopback(address))
      return { ok: false, reason: `${address} is not an address that other hosts could reach` }
    return { ok: true, value: address }
  },
}

export const waypointRows = {
  name: requiredRow(gatewayName, 'the Gateway of class culvert-waypoint that it serves, as namespace/name'),
  instance: optionalRow(
    instanceName,
    'name of this replica, of which each needs its own; by default that of the Gateway. Its join token is made for the host <instance>.<namespace> and the identity <namespace>/<name of the Gateway>',
  ),
  control: requiredRow(
    someOf(list(hostPort), 'host:port'),
    "the control plane's feed, usually port 15012; of several replicas some or all, separated by commas",
  ),
  address: requiredRow(
    someOf(list(ownAddress), 'address'),
    'its own addresses, IPv4 or IPv6 or both, separated by commas: it takes tunnels on port 15008 of each',
  ),
  stateDir: row(
    path,
    '/var/lib/culvert/waypoint',
    'directory of its keys, certificates and the last good model; readable by nobody else',
  ),
  token: optionalRow(string, 'join token, needed for the first start only; better given in a file'),
  tokenFile: optionalRow(path, 'file that holds the join token, needed for the first start only'),
  locality: row(
    { type: 'region/zone/subzone', parse: (text) => ({ ok: true, value: text }) },
    '',
    'where it runs, for locality-aware load balancing',
  ),
  adminAddress: row(
    hostPort,
    '127.0.0.1:15000',
    'address of the admin server; it has no authentication: keep it on loopback',
  ),
  metricsAddress: row(hostPort, '0.0.0.0:15020', 'address of /metrics and /stats/prometheus'),
  healthAddress: row(hostPort, '0.0.0.0:15021', 'address of /healthz/ready'),
  logLevel: row(
    enumOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'info',
    'least severe level that is logged; the access log is info',
  ),
  withdrawTime: row(
    durationMs,
    '1s',
    'how long it goes on taking requests after it has told the control plane that it leaves, so that daemons turn to its other replicas first; without others it does not wait',
  ),
  drainTimeout: row(
    unlimitedOr(durationMs),
    '25s',
    'how long requests and connections may go on when it stops; `unlimited`: until the last one ends',
  ),
  connectTimeout: row(durationMs, '10s', 'longest wait for a connection to an endpoint, where no DestinationRule says'),
  detectTimeout: row(
    durationMs,
    '750ms',
    'how long a connection may say nothing before it counts as one whose server speaks first, and passes as TCP; not where rules for HTTP requests or rate limits are attached',
  ),
  maxTunnels: row(integer(1, 1_000_000), '20000', 'most tunnel sessions at once'),
  maxConnections: row(integer(1, 10_000_000), '100000', 'most connections inside tunnels at once'),
} as const

export type WaypointConfig = Config<typeof waypointRows>

/** Name of the replica. */
export function instanceOf({ instance, name }: Pick<WaypointConfig, 'instance' | 'name'>): string {
  return instance ?? name.name
}

/** The host name that the replica joins with. */
export function hostOf(config: Pick<WaypointConfig, 'instance' | 'name'>): string {
  return `${instanceOf(config)}.${config.name.namespace}`
}
