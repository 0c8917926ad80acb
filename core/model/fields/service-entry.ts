// ServiceEntry (networking.istio.io): hosts that are no Services of the mesh. The rules between its fields stand in
// service-entry-checks.ts.
import { asWhole, ignored, type ObjectField, type ValueOf } from './field.ts'
import { exportToFits, visibility, wildcardHost } from './hosts.ts'
import { port, text, texts } from './parts.ts'
import { addressBlock, clip, dnsLabel, labelValue, qualifiedName } from './rules.ts'
import {
  endpointPortsNamed,
  endpointsAreAddresses,
  endpointsOfNone,
  hostsResolvable,
  hostsToldApart,
  onePortPerNumber,
  oneRoundRobinEndpoint,
  protocol,
  rangesNotResolved,
  selectorOrEndpoints,
} from './service-entry-checks.ts'
import { workloadEntrySpec } from './workload-entry.ts'

const wholeMesh = '"*" stands for every host: name hosts or "*.domain"'
const noWildcard = (value: string): string | undefined =>
  value.includes('*') ? `"${clip(value)}" has a wildcard, which is not allowed in a selector` : undefined

const ports = {
  type: 'list',
  text: 'Ports of the hosts.',
  use: asWhole,
  maxItems: 256,
  listType: 'map',
  mapKeys: ['name'],
  rules: [onePortPerNumber],
  item: {
    type: 'object',
    text: 'One port.',
    use: asWhole,
    fields: {
      name: text('Name of the port.', { required: true, maxLength: 256, check: dnsLabel }),
      number: port('Port that callers use.', { required: true }),
      protocol: text('Protocol, for example HTTP, GRPC, TLS or TCP; TCP where absent.', {
        maxLength: 256,
        check: protocol,
      }),
      targetPort: port('Port of the endpoints; the same where absent.'),
    },
  },
} as const

const workloadSelector = {
  type: 'object',
  text: 'Workloads of the namespace that are the endpoints.',
  use: asWhole,
  fields: {
    labels: {
      type: 'map',
      text: 'Labels that a workload must carry, all of them.',
      use: asWhole,
      maxItems: 256,
      key: (key) => noWildcard(key) ?? qualifiedName(key),
      value: text('The exact value of the label.', {
        maxLength: 63,
        check: (value: string) => noWildcard(value) ?? labelValue(value),
      }),
    },
  },
} as const satisfies ObjectField

const endpoints = {
  type: 'list',
  text: 'Endpoints; where absent, the hosts are resolved or workloadSelector finds them.',
  use: asWhole,
  maxItems: 4096,
  item: {
    type: 'object',
    text: 'One endpoint.',
    use: asWhole,
    checks: workloadEntrySpec.checks,
    fields: workloadEntrySpec.fields,
  },
} as const

export const serviceEntrySpec = {
  type: 'object',
  text: 'Hosts that are no Services of the mesh.',
  use: ignored('a ServiceEntry has no effect: its hosts get no virtual IP, connections to them pass as they are'),
  required: true,
  rules: [selectorOrEndpoints, rangesNotResolved, endpointsOfNone, oneRoundRobinEndpoint],
  checks: [endpointPortsNamed, endpointsAreAddresses, hostsResolvable, hostsToldApart, exportToFits],
  fields: {
    hosts: texts(
      'Hosts, the first label of which may be a wildcard.',
      (value) => (value === '*' ? wholeMesh : wildcardHost(value)),
      {
        required: true,
        minItems: 1,
        maxItems: 256,
      },
    ),
    addresses: {
      type: 'list',
      text: 'Virtual IPs of the hosts, or blocks of addresses.',
      use: asWhole,
      maxItems: 256,
      item: text('An IP address or a CIDR block.', { maxLength: 64, check: addressBlock }),
    },
    ports,
    location: {
      type: 'enum',
      text: 'Whether the hosts are part of the mesh; MESH_EXTERNAL where absent.',
      use: asWhole,
      values: ['MESH_EXTERNAL', 'MESH_INTERNAL'],
    },
    resolution: {
      type: 'enum',
      text: 'How the address of a connection is found; NONE, the one that the caller asked for, where absent.',
      use: asWhole,
      values: ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'],
    },
    endpoints,
    workloadSelector,
    exportTo: texts('Namespaces whose workloads know the hosts; all where absent.', visibility),
    subjectAltNames: texts('Names of which one must stand in the certificate of the endpoint.'),
  },
} as const satisfies ObjectField

export type ServiceEntrySpec = ValueOf<typeof serviceEntrySpec>
