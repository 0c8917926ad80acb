// Kubernetes' own kinds: what the mesh reads (namespaces, services) and what others keep beside it. The cells that `get` computes
// for them are in *-cells.ts.
import { namespaceSpec } from '../fields/namespace.ts'
import { dnsLabel, serviceName } from '../fields/rules.ts'
import { serviceSpec } from '../fields/service.ts'
import { serviceExternalCell, servicePortsCell } from './core-cells.ts'
import { inventoryKinds } from './inventory.ts'
import { keptKinds } from './kept.ts'
import { age, column, computed, type Kind } from './kind.ts'

export const namespaceKind: Kind = {
  kind: 'Namespace',
  group: '',
  versions: ['v1'],
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  categories: [],
  namespaced: false,
  body: { spec: namespaceSpec },
  name: dnsLabel,
  nulls: 'absent',
  columns: [column('Status', 'status.phase', 'Phase of the namespace.'), age],
}

export const serviceKind: Kind = {
  kind: 'Service',
  group: '',
  versions: ['v1'],
  plural: 'services',
  singular: 'service',
  shortNames: ['svc'],
  categories: ['all'],
  namespaced: true,
  body: { spec: serviceSpec },
  name: serviceName,
  nulls: 'absent',
  columns: [
    column('Type', 'spec.type', 'How the service is published.'),
    column('Cluster-IP', 'spec.clusterIP', 'Virtual IP.'),
    computed('External-IP', 'Where else it is reached.', serviceExternalCell),
    computed('Port(s)', 'Ports on the virtual IP, and on every host, with their protocol.', servicePortsCell),
    age,
    column('Cluster-IPs', 'spec.clusterIPs', 'Virtual IPs of both families.', 1),
    column('Selector', 'spec.selector', 'Labels of the workloads.', 1),
  ],
}

export const coreKinds: readonly Kind[] = [namespaceKind, serviceKind, ...inventoryKinds, ...keptKinds]
