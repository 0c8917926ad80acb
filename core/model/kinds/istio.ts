// Istio's kinds: workloads, security, traffic.
import { authorizationPolicySpec } from '../fields/authorization-policy.ts'
import { destinationRuleSpec } from '../fields/destination-rule.ts'
import { istioStatus } from '../fields/istio-status.ts'
import { peerAuthenticationSpec } from '../fields/peer-authentication.ts'
import { requestAuthenticationSpec } from '../fields/request-authentication.ts'
import { dnsSubdomain } from '../fields/rules.ts'
import { serviceEntrySpec } from '../fields/service-entry.ts'
import { telemetrySpec } from '../fields/telemetry.ts'
import { virtualServiceSpec } from '../fields/virtual-service.ts'
import { workloadEntrySpec } from '../fields/workload-entry.ts'
import { workloadGroupSpec } from '../fields/workload-group.ts'
import { age, column, type Kind } from './kind.ts'

export const workloadEntryKind: Kind = {
  kind: 'WorkloadEntry',
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  plural: 'workloadentries',
  singular: 'workloadentry',
  shortNames: ['we'],
  categories: ['istio-io', 'networking-istio-io'],
  namespaced: true,
  body: { spec: workloadEntrySpec },
  status: istioStatus,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [
    age,
    column('Address', 'spec.address', 'Address of the workload.'),
    column('Service-Account', 'spec.serviceAccount', 'Service account of the workload.', 1),
    column('Locality', 'spec.locality', 'Locality of the workload.', 1),
  ],
}

export const workloadGroupKind: Kind = {
  kind: 'WorkloadGroup',
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  plural: 'workloadgroups',
  singular: 'workloadgroup',
  shortNames: ['wg'],
  categories: ['istio-io', 'networking-istio-io'],
  namespaced: true,
  body: { spec: workloadGroupSpec },
  status: istioStatus,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [age],
}

export const serviceEntryKind: Kind = {
  kind: 'ServiceEntry',
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  plural: 'serviceentries',
  singular: 'serviceentry',
  shortNames: ['se'],
  categories: ['istio-io', 'networking-istio-io'],
  namespaced: true,
  body: { spec: serviceEntrySpec },
  status: istioStatus,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [
    column('Hosts', 'spec.hosts', 'Hosts that become known.'),
    column('Location', 'spec.location', 'Whether the hosts are part of the mesh.'),
    column('Resolution', 'spec.resolution', 'How the addresses are found.'),
    age,
  ],
}

export const virtualServiceKind: Kind = {
  kind: 'VirtualService',
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  plural: 'virtualservices',
  singular: 'virtualservice',
  shortNames: ['vs'],
  categories: ['istio-io', 'networking-istio-io'],
  namespaced: true,
  body: { spec: virtualServiceSpec },
  status: istioStatus,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [
    column('Gateways', 'spec.gateways', 'Gateways whose traffic is routed.'),
    column('Hosts', 'spec.hosts', 'Hosts that are routed.'),
    age,
  ],
}

export const authorizationPolicyKind: Kind = {
  kind: 'AuthorizationPolicy',
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  plural: 'authorizationpolicies',
  singular: 'authorizationpolicy',
  shortNames: ['ap'],
  categories: ['istio-io', 'security-istio-io'],
  namespaced: true,
  body: { spec: authorizationPolicySpec },
  status: istioStatus,
  name: dnsSubdomain,
  nulls: 'refused',
  columns: [
    column('Action', 'spec.action', 'What happens to what the rules match.'),
    age,
    column('Selector', 'spec.selector.matchLabels', 'Labels of the workloads.', 1),
  ],
}

export const peerAuthenticationKind: Kind = {
  kind: 'PeerAuthentication',
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  plural: 'peerauthentications',
  singular: 'peerauthentication',
  shortNames: ['pa'],
  categories: ['istio-io', 'security-istio-io'],
  namespaced: true,
  body: { spec: peerAuthenticationSpec },
  status: istioStatus,
  name: dnsSubdomain,
  nulls: 'refused',
  columns: [
    column('Mode', 'spec.mtls.mode', 'Whether plaintext is accepted.'),
    age,
    column('Selector', 'spec.selector.matchLabels', 'Labels of the workloads.', 1),
  ],
}

export const destinationRuleKind: Kind = {
  kind: 'DestinationRule',
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  plural: 'destinationrules',
  singular: 'destinationrule',
  shortNames: ['dr'],
  categories: ['istio-io', 'networking-istio-io'],
  namespaced: true,
  body: { spec: destinationRuleSpec },
  status: istioStatus,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [column('Host', 'spec.host', 'Host that the rule is for.'), age],
}

export const requestAuthenticationKind: Kind = {
  kind: 'RequestAuthentication',
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  plural: 'requestauthentications',
  singular: 'requestauthentication',
  shortNames: ['ra'],
  categories: ['istio-io', 'security-istio-io'],
  namespaced: true,
  body: { spec: requestAuthenticationSpec },
  status: istioStatus,
  name: dnsSubdomain,
  nulls: 'refused',
  columns: [age],
}

export const telemetryKind: Kind = {
  kind: 'Telemetry',
  group: 'telemetry.istio.io',
  versions: ['v1', 'v1alpha1'],
  plural: 'telemetries',
  singular: 'telemetry',
  shortNames: ['telemetry'],
  categories: ['istio-io', 'telemetry-istio-io'],
  namespaced: true,
  body: { spec: telemetrySpec },
  status: istioStatus,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [age],
}

export const istioKinds: readonly Kind[] = [
  workloadEntryKind,
  workloadGroupKind,
  serviceEntryKind,
  virtualServiceKind,
  destinationRuleKind,
  authorizationPolicyKind,
  peerAuthenticationKind,
  requestAuthenticationKind,
  telemetryKind,
]
