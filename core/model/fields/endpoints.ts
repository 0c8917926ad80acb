// Endpoints (core v1): addresses behind a Service of the same name, as Kubernetes wrote them before EndpointSlices.
import { choice, list, nodeName, objectReference, part } from './core-parts.ts'
import { distinctPorts, endpointAddress, endpointHostname, optionalPortName } from './endpoint-checks.ts'
import { type FieldTable, ignored, type ObjectCheck } from './field.ts'
import { port, text } from './parts.ts'
import { qualifiedName } from './rules.ts'

export const endpointsHaveNoEffect =
  'addresses given by hand are kept but not read yet: the workloads of a Service are the WorkloadEntries that its selector finds'

const address = part(
  'One address.',
  {
    ip: text('The address.', { required: true, check: endpointAddress }),
    hostname: text('Name below that of the Service.', { check: endpointHostname }),
    nodeName: text('Node of the workload.', { check: nodeName }),
    targetRef: objectReference('The workload.'),
  },
  { atomic: true },
)

const endpointPort = part(
  'One port.',
  {
    name: text("Name of the Service's port.", { check: optionalPortName }),
    port: port('Number of the port.', { required: true }),
    protocol: choice('Transport protocol.', ['TCP', 'UDP', 'SCTP'], { default: 'TCP' }),
    appProtocol: text('Application protocol.', { check: qualifiedName }),
  },
  { atomic: true },
)

const someAddress: ObjectCheck = (subset, report) => {
  const { addresses = [], notReadyAddresses = [] } = subset as Readonly<Record<string, readonly unknown[] | undefined>>
  if (addresses.length === 0 && notReadyAddresses.length === 0)
    report(['addresses'], 'are required, or notReadyAddresses', 'required')
}

export const endpointsBody = {
  subsets: {
    ...list(
      'Addresses with the ports that they have in common.',
      part(
        'One set.',
        {
          addresses: list('Addresses that take traffic.', address),
          notReadyAddresses: list('Addresses that do not take traffic yet.', address),
          ports: list('Ports of the addresses.', endpointPort),
        },
        { checks: [someAddress, distinctPorts('ports', true)] },
      ),
    ),
    use: ignored(endpointsHaveNoEffect),
  },
} as const satisfies FieldTable
