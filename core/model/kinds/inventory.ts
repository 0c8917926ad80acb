// Kubernetes' kinds that tell of workloads and where they run: pods, nodes, service accounts, endpoints.
import { addressesFitType, endpointSliceBody, portsAreDistinct } from '../fields/endpoint-slice.ts'
import { endpointsBody } from '../fields/endpoints.ts'
import { nodeSpec, nodeStatus } from '../fields/node.ts'
import { podSpec } from '../fields/pod.ts'
import { podStatus } from '../fields/pod-status.ts'
import { dnsSubdomain } from '../fields/rules.ts'
import { serviceAccountBody } from '../fields/service-account.ts'
import {
  countCell,
  endpointsCell,
  nodeAddressCell,
  nodeRolesCell,
  nodeStatusCell,
  sliceEndpointsCell,
  slicePortsCell,
} from './core-cells.ts'
import { age, column, computed, type Kind } from './kind.ts'
import { gatesCell, readyCell, restartsCell, statusCell } from './pod-cells.ts'

const wide = { priority: 1 } as const

export const podKind: Kind = {
  kind: 'Pod',
  group: '',
  versions: ['v1'],
  plural: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  body: { spec: podSpec },
  status: podStatus,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [
    computed('Ready', 'Containers that are ready, of all.', readyCell),
    computed('Status', 'What the pod does.', statusCell),
    computed('Restarts', 'How often containers were started again.', restartsCell, { type: 'integer' }),
    age,
    column('IP', 'status.podIP', 'Address of the pod.', 1),
    column('Node', 'spec.nodeName', 'Node on which it runs.', 1),
    column('Nominated Node', 'status.nominatedNodeName', 'Node on which room is being made.', 1),
    computed('Readiness Gates', 'Further conditions that hold, of all.', gatesCell, wide),
  ],
}

export const nodeKind: Kind = {
  kind: 'Node',
  group: '',
  versions: ['v1'],
  plural: 'nodes',
  singular: 'node',
  shortNames: ['no'],
  categories: [],
  namespaced: false,
  body: { spec: nodeSpec },
  status: nodeStatus,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [
    computed('Status', 'Whether the node is ready.', nodeStatusCell),
    computed('Roles', 'What the node is for.', nodeRolesCell),
    age,
    column('Version', 'status.nodeInfo.kubeletVersion', 'Version of kubelet.'),
    computed('Internal-IP', 'Address inside the cluster.', nodeAddressCell('InternalIP'), wide),
    computed('External-IP', 'Address outside the cluster.', nodeAddressCell('ExternalIP'), wide),
    column('OS-Image', 'status.nodeInfo.osImage', 'Operating system.', 1),
    column('Kernel-Version', 'status.nodeInfo.kernelVersion', 'Version of the kernel.', 1),
    column('Container-Runtime', 'status.nodeInfo.containerRuntimeVersion', 'Container runtime.', 1),
  ],
}

export const serviceAccountKind: Kind = {
  kind: 'ServiceAccount',
  group: '',
  versions: ['v1'],
  plural: 'serviceaccounts',
  singular: 'serviceaccount',
  shortNames: ['sa'],
  categories: [],
  namespaced: true,
  body: serviceAccountBody,
  hasNoStatus: true,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [computed('Secrets', 'How many Secrets it names.', countCell('secrets'), { type: 'integer' }), age],
}

export const endpointsKind: Kind = {
  kind: 'Endpoints',
  group: '',
  versions: ['v1'],
  plural: 'endpoints',
  singular: 'endpoints',
  shortNames: ['ep'],
  categories: [],
  namespaced: true,
  body: endpointsBody,
  hasNoStatus: true,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [computed('Endpoints', 'Addresses that take traffic.', endpointsCell), age],
}

export const endpointSliceKind: Kind = {
  kind: 'EndpointSlice',
  group: 'discovery.k8s.io',
  versions: ['v1'],
  plural: 'endpointslices',
  singular: 'endpointslice',
  shortNames: [],
  categories: [],
  namespaced: true,
  body: endpointSliceBody,
  hasNoStatus: true,
  checks: [addressesFitType, portsAreDistinct],
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [
    column('AddressType', 'addressType', 'Family of the addresses.'),
    computed('Ports', 'Ports of the workloads.', slicePortsCell),
    computed('Endpoints', 'Addresses of the workloads.', sliceEndpointsCell),
    age,
  ],
}

export const inventoryKinds: readonly Kind[] = [podKind, nodeKind, serviceAccountKind, endpointsKind, endpointSliceKind]
