// EndpointSlice (discovery.k8s.io): some of the addresses behind the Service that its label kubernetes.io/service-name names.
import { isIP } from 'node:net'
import { choice, list, nodeName, objectReference, part } from './core-parts.ts'
import { distinctPorts, endpointAddress, endpointHostname, optionalPortName } from './endpoint-checks.ts'
import { endpointsHaveNoEffect } from './endpoints.ts'
import { asWhole, type FieldTable, ignored, type ObjectCheck } from './field.ts'
import { flag, text, texts, whole } from './parts.ts'
import { dnsSubdomain, qualifiedName } from './rules.ts'

const named = (what: string) => list(what, part('One place.', { name: text('Its name.', { required: true }) }))

const endpoint = part('One workload.', {
  addresses: texts('Its addresses, all of one family; only the first is used.', undefined, {
    required: true,
    minItems: 1,
    maxItems: 100,
    listType: 'set',
  }),
  conditions: part('Whether it takes traffic.', {
    ready: flag('Whether it takes new traffic.'),
    serving: flag('Whether it answers, even while it ends.'),
    terminating: flag('Whether it ends.'),
  }),
  hostname: text('Name below that of the Service.', { check: endpointHostname }),
  nodeName: text('Node of the workload.', { check: nodeName }),
  zone: text('Zone of the workload.'),
  hints: part('Whose traffic it should take.', {
    forZones: named('Zones.'),
    forNodes: named('Nodes.'),
  }),
  targetRef: objectReference('The workload.'),
  deprecatedTopology: { type: 'map', text: 'Withdrawn by Kubernetes.', use: asWhole, value: text('A value.') },
})

const slicePort = part(
  'One port.',
  {
    name: text("Name of the Service's port.", { check: optionalPortName, default: '' }),
    port: whole('Number of the port.', 1, 65_535),
    protocol: choice('Transport protocol.', ['TCP', 'UDP', 'SCTP'], { default: 'TCP' }),
    appProtocol: text('Application protocol.', { check: qualifiedName }),
  },
  { atomic: true },
)

/** A check over the whole object: its family holds for the addresses in it. */
export const addressesFitType: ObjectCheck = (slice, report) => {
  const type = String(slice['addressType'])
  const endpoints = (slice['endpoints'] as readonly { readonly addresses: readonly string[] }[] | undefined) ?? []
  for (const [index, { addresses }] of endpoints.entries()) {
    for (const [position, address] of addresses.entries()) {
      const wrong = unfit(address, type)
      if (wrong !== undefined) report(['endpoints', index, 'addresses', position], wrong)
    }
  }
}

function unfit(address: string, type: string): string | undefined {
  if (type === 'FQDN') return dnsSubdomain(address.replace(/\.$/, ''))
  const wrong = endpointAddress(address)
  if (wrong !== undefined) return wrong
  const family = isIP(address) === 4 ? 'IPv4' : 'IPv6'
  return family === type
    ? undefined
    : `"${address}" is ${family}, and addressType is ${type}: put it into a slice of its own`
}

export const portsAreDistinct = distinctPorts('ports', false)

export const endpointSliceBody = {
  addressType: choice('Family of the addresses; it cannot be changed.', ['IPv4', 'IPv6', 'FQDN'], { required: true }),
  endpoints: {
    ...list('Workloads.', endpoint, { maxItems: 1000 }),
    use: ignored(endpointsHaveNoEffect),
  },
  ports: list('Ports that all of them have.', slicePort, { maxItems: 20_000 }),
} as const satisfies FieldTable
