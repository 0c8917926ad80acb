// What must hold between the fields of a ServiceEntry: the published rules, and those of Istio's admission. service-entry.ts
// carries them.
import { isIP } from 'node:net'
import { didYouMean } from '../suggest.ts'
import type { ListRule, ObjectCheck, ObjectRule } from './field.ts'
import { clip } from './rules.ts'

interface Endpoint {
  readonly address?: string
  readonly ports?: Readonly<Record<string, number>>
}

interface Port {
  readonly name: string
  readonly number: number
  readonly protocol?: string
}

/** As far as these checks read it. */
interface Spec {
  readonly hosts?: readonly string[]
  readonly addresses?: readonly string[]
  readonly resolution?: string
  readonly endpoints?: readonly Endpoint[]
  readonly ports?: readonly Port[]
  readonly workloadSelector?: object
}

function partsOf(value: Readonly<Record<string, unknown>>) {
  const {
    hosts = [],
    addresses = [],
    resolution = 'NONE',
    endpoints = [],
    ports = [],
    workloadSelector,
  } = value as Spec
  return { hosts, addresses, resolution, endpoints, ports, workloadSelector }
}

const http: readonly string[] = ['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB', 'HTTP_PROXY']
const tls: readonly string[] = ['HTTPS', 'TLS']
const protocols: readonly string[] = [...http, ...tls, 'TCP', 'UDP', 'MONGO', 'REDIS', 'MYSQL', 'HBONE']

/** Istio reads protocols in upper and lower case alike. */
export function protocol(value: string): string | undefined {
  const name = value.toUpperCase()
  if (name === '' || protocols.includes(name)) return undefined
  return `"${clip(value)}" is not one of ${protocols.join(', ')}${didYouMean(name, protocols)}`
}

export const onePortPerNumber: ListRule = {
  message: 'port number cannot be duplicated',
  check: (ports, report) => {
    const seen = new Map<unknown, number>()
    for (const [index, { number }] of ports.entries()) {
      const first = seen.get(number)
      if (first === undefined) seen.set(number, index)
      else report([index, 'number'], `${number} is the port of entry ${first} already`, 'duplicate')
    }
  },
}

export const selectorOrEndpoints: ObjectRule = {
  message: 'only one of WorkloadSelector or Endpoints can be set',
  check: (spec, report) => {
    if (spec['workloadSelector'] === undefined || spec['endpoints'] === undefined) return
    report(['endpoints'], 'cannot be combined with workloadSelector: keep one of them')
  },
}

export const rangesNotResolved: ObjectRule = {
  message: 'CIDR addresses are allowed only for NONE/STATIC resolution types',
  check: (spec, report) => {
    const { addresses, resolution } = partsOf(spec)
    if (['NONE', 'STATIC'].includes(resolution)) return
    for (const [index, address] of addresses.entries()) {
      if (!address.includes('/')) continue
      report(['addresses', index], `${address} is a block of addresses, which needs resolution NONE or STATIC`)
    }
  },
}

export const endpointsOfNone: ObjectRule = {
  message: 'NONE mode cannot set endpoints',
  check: (spec, report) => {
    if (spec['endpoints'] === undefined || partsOf(spec).resolution !== 'NONE') return
    report(['endpoints'], 'have no effect with resolution NONE: set resolution to STATIC or DNS, or remove them')
  },
}

export const oneRoundRobinEndpoint: ObjectRule = {
  message: 'DNS_ROUND_ROBIN mode cannot have multiple endpoints',
  check: (spec, report) => {
    const { resolution, endpoints } = partsOf(spec)
    if (resolution !== 'DNS_ROUND_ROBIN' || endpoints.length < 2) return
    report(['endpoints'], `has ${endpoints.length} entries, DNS_ROUND_ROBIN takes one: set resolution to DNS`)
  },
}

/** An endpoint's port is found by the name of the service port. */
export const endpointPortsNamed: ObjectCheck = (spec, report) => {
  const { ports, endpoints } = partsOf(spec)
  const names = ports.map(({ name }) => name)
  for (const [index, endpoint] of endpoints.entries()) {
    for (const name of Object.keys(endpoint.ports ?? {})) {
      if (names.includes(name)) continue
      const what = names.length === 0 ? 'there are no ports' : `the ports are ${names.join(', ')}`
      report(['endpoints', index, 'ports', name], `names no port: ${what}${didYouMean(name, names)}`)
    }
  }
}

export const endpointsAreAddresses: ObjectCheck = (spec, report) => {
  const { resolution, endpoints } = partsOf(spec)
  if (resolution !== 'STATIC') return
  for (const [index, { address }] of endpoints.entries()) {
    if (address === undefined || isIP(address) !== 0) continue
    const remedy = 'STATIC resolves no names: give an IP address, or set resolution to DNS'
    report(['endpoints', index, 'address'], `"${clip(address)}" is a name; ${remedy}`)
  }
}

/** Without endpoints, it is the hosts that are looked up. */
export const hostsResolvable: ObjectCheck = (spec, report) => {
  const { resolution, endpoints, hosts, workloadSelector } = partsOf(spec)
  if (!['DNS', 'DNS_ROUND_ROBIN'].includes(resolution) || endpoints.length > 0 || workloadSelector !== undefined) return
  for (const [index, host] of hosts.entries()) {
    if (!host.includes('*')) continue
    const remedy = 'give endpoints, name one host, or set resolution to NONE or DYNAMIC_DNS'
    report(['hosts', index], `"${clip(host)}" cannot be looked up by ${resolution}; ${remedy}`)
  }
}

/** Only HTTP and TLS say for which host a connection is. */
export const hostsToldApart: ObjectCheck = (spec, report) => {
  const { resolution, hosts, ports } = partsOf(spec)
  if (resolution === 'NONE' || hosts.length < 2) return
  for (const [index, { protocol = 'TCP' }] of ports.entries()) {
    if ([...http, ...tls].includes(protocol.toUpperCase())) continue
    const remedy = 'write a ServiceEntry for each host, or set protocol to one of HTTP and TLS'
    const what = `${protocol === '' ? 'TCP' : protocol} does not tell the ${hosts.length} hosts apart`
    report(['ports', index, 'protocol'], `${what}; ${remedy}`)
  }
}
