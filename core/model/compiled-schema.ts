// What a compiled resource must look like before a Snapshot believes it: the edge at which data from the feed, the handoff
// or a state file is validated, once. snapshot.ts calls `checkResource` for each resource of a delta.
import { canonicalAddress } from '../net/address.ts'
import { parseCidr } from '../net/cidr.ts'
import {
  boolean,
  type Check,
  integer,
  isObject,
  list,
  object,
  oneOf,
  record,
  share,
  text,
  textLike,
} from './compiled-check.ts'
import { routesKey } from './layer-seven-index.ts'
import { destination, namespacedKey, port, portKey, rateLimit, routeTable } from './layer-seven-schema.ts'
import type { CompiledKind, CompiledResource } from './types.ts'

const name = text(1, 253)
const label = text(0, 1024)
const address = textLike((value) => canonicalAddress(value) === value, 'a canonical IP address')
const cidr = textLike((value) => parseCidr(value) !== undefined, 'a CIDR')
const authenticationMode = oneOf('STRICT', 'PERMISSIVE')

const workload = object(
  {
    uid: text(1, 1024),
    name,
    namespace: name,
    serviceAccount: name,
    trustDomain: name,
    node: text(0, 253),
    addresses: list(address),
    labels: record(text(1, 512), label),
    enrolled: boolean,
    protocol: oneOf('HBONE', 'TCP'),
    health: oneOf('healthy', 'unhealthy'),
    locality: label,
    weight: share,
    services: list(object({ service: namespacedKey, ports: record(portKey, port) })),
    peerAuthentication: object(
      { mode: authenticationMode, ports: record(portKey, authenticationMode) },
      { source: label },
      true,
    ),
    authorizations: list(text(1, 1024)),
  },
  { waypoint: text(1, 1024) },
)

const gateway = object({
  takes: oneOf('service', 'workload', 'all', 'none'),
  whenUnreachable: oneOf('refuse', 'bypass'),
  bypass: oneOf('refused', 'allowed'),
})

const service = object(
  {
    namespace: name,
    name,
    hostname: name,
    vips: list(address),
    headless: boolean,
    ports: list(object({ name: text(0, 253), port, protocol: oneOf('TCP') }, { appProtocol: text(1, 253) })),
    identities: list(textLike((value) => value.startsWith('spiffe://'), 'a SPIFFE URI')),
    loadBalancing: oneOf('random'),
  },
  { waypoint: text(1, 1024), gateway },
)

const stringMatch: Check = (value, path) => {
  const kind = isObject(value) ? value['kind'] : undefined
  return kind === 'presence' ? presenceMatch(value, path) : valueMatch(value, path)
}
const presenceMatch = object({ kind: oneOf('presence') }, {}, true)
// A prefix or suffix of no characters would match everything, an unauthenticated peer too.
const valueMatch = object({ kind: oneOf('exact', 'prefix', 'suffix', 'presence'), value: text(1, 4096) }, {}, true)

const strings = list(stringMatch)
const serviceAccounts = list(namespacedKey)
const addressBlocks = list(cidr)
const destinationPorts = list(port)

const match = object(
  {},
  {
    principals: strings,
    notPrincipals: strings,
    namespaces: strings,
    notNamespaces: strings,
    serviceAccounts,
    notServiceAccounts: serviceAccounts,
    sourceIps: addressBlocks,
    notSourceIps: addressBlocks,
    destinationIps: addressBlocks,
    notDestinationIps: addressBlocks,
    destinationPorts,
    notDestinationPorts: destinationPorts,
  },
  true,
)

// Closed: whoever ignores an unknown field of a rule enforces another rule than the operator wrote.
const authorization = object(
  {
    namespace: name,
    name,
    scope: oneOf('mesh', 'namespace', 'workload'),
    action: oneOf('ALLOW', 'DENY'),
    rules: list(object({ index: integer(0, 1_000_000), clauses: list(list(match)) }, {}, true)),
    dryRun: boolean,
  },
  {},
  true,
)

const mesh = object({
  trustDomain: name,
  clusterName: label,
  rootNamespace: name,
  vipRanges: list(cidr),
  serviceDomain: name,
})

const checks: Readonly<Record<CompiledKind, Check>> = {
  Mesh: mesh,
  Workload: workload,
  Service: service,
  Authorization: authorization,
  Routes: routeTable,
  Destination: destination,
  RateLimit: rateLimit,
}

/** Whether `kind` is one that this version knows. */
export function isCompiledKind(kind: unknown): kind is CompiledKind {
  return typeof kind === 'string' && Object.hasOwn(checks, kind)
}

/** Why the resource cannot be taken, or undefined. The key must be the one that the value implies. */
export function checkResource(resource: CompiledResource): string | undefined {
  const reason = checks[resource.kind](resource.value, '')
  if (reason !== undefined) return reason
  const implied = keyOf(resource)
  return implied === resource.key ? undefined : `key: expected "${implied}"`
}

function keyOf(resource: CompiledResource): string {
  switch (resource.kind) {
    case 'Mesh':
      return 'mesh'
    case 'Workload':
      return resource.value.uid
    case 'Service':
      return `${resource.value.namespace}/${resource.value.hostname}`
    case 'Routes':
      return routesKey(resource.value.service, resource.value.port)
    case 'Destination':
      return resource.value.service
    case 'Authorization':
    case 'RateLimit':
      return `${resource.value.namespace}/${resource.value.name}`
  }
}
