// The kinds that Culvert serves: names, versions, scope and field table of each. The API server, the manifest parser and the
// compile step look kinds up here; a new kind is one row and one field table.
import { authorizationPolicySpec } from './fields/authorization-policy.ts'
import type { ObjectField, ValueCheck } from './fields/field.ts'
import { namespaceSpec } from './fields/namespace.ts'
import { peerAuthenticationSpec } from './fields/peer-authentication.ts'
import { dnsLabel, dnsSubdomain, serviceName } from './fields/rules.ts'
import { serviceSpec } from './fields/service.ts'
import { workloadEntrySpec } from './fields/workload-entry.ts'
import { didYouMean } from './suggest.ts'

/** A column of `get`: `path` leads from the object to a scalar, or to a list whose items are joined with commas. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'date'
  readonly path: readonly string[]
  readonly text: string
  /** 0 is always shown, 1 with `-o wide`. */
  readonly priority: 0 | 1
}

export interface Kind {
  readonly kind: string
  /** Empty for the core group. */
  readonly group: string
  /** All served versions, the preferred one first. They have the same fields, unless a field says otherwise. */
  readonly versions: readonly string[]
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  readonly spec: ObjectField
  readonly name: ValueCheck<string>
  /**
   * What an explicit null is: `absent`, as in Kubernetes, or `refused` for kinds where a field that was emptied by accident would
   * let more people in.
   */
  readonly nulls: 'absent' | 'refused'
  readonly columns: readonly Column[]
}

function column(name: string, path: string, text: string, priority: 0 | 1 = 0): Column {
  return { name, type: 'string', path: path.split('.'), text, priority }
}

const age: Column = {
  name: 'Age',
  type: 'date',
  path: ['metadata', 'creationTimestamp'],
  text: 'Time since the object was created.',
  priority: 0,
}

export const namespaceKind: Kind = {
  kind: 'Namespace',
  group: '',
  versions: ['v1'],
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  categories: [],
  namespaced: false,
  spec: namespaceSpec,
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
  spec: serviceSpec,
  name: serviceName,
  nulls: 'absent',
  columns: [
    column('Type', 'spec.type', 'How the service is published.'),
    column('Cluster-IP', 'spec.clusterIP', 'Virtual IP.'),
    column('Port(s)', 'spec.ports.port', 'Ports on the virtual IP.'),
    age,
    column('Cluster-IPs', 'spec.clusterIPs', 'Virtual IPs of both families.', 1),
    column('Selector', 'spec.selector', 'Labels of the workloads.', 1),
  ],
}

export const workloadEntryKind: Kind = {
  kind: 'WorkloadEntry',
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  plural: 'workloadentries',
  singular: 'workloadentry',
  shortNames: ['we'],
  categories: ['istio-io', 'networking-istio-io'],
  namespaced: true,
  spec: workloadEntrySpec,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [
    age,
    column('Address', 'spec.address', 'Address of the workload.'),
    column('Service-Account', 'spec.serviceAccount', 'Service account of the workload.', 1),
    column('Locality', 'spec.locality', 'Locality of the workload.', 1),
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
  spec: authorizationPolicySpec,
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
  spec: peerAuthenticationSpec,
  name: dnsSubdomain,
  nulls: 'refused',
  columns: [
    column('Mode', 'spec.mtls.mode', 'Whether plaintext is accepted.'),
    age,
    column('Selector', 'spec.selector.matchLabels', 'Labels of the workloads.', 1),
  ],
}

export const kinds: readonly Kind[] = [
  namespaceKind,
  serviceKind,
  workloadEntryKind,
  authorizationPolicyKind,
  peerAuthenticationKind,
]

/** `v1` has no group, `security.istio.io/v1` has one. */
export function splitApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf('/')
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) }
}

export function formatApiVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`
}

/** The kind at one of its served versions; undefined where group, version or kind is not served. */
export function kindOf(apiVersion: string, kind: string): Kind | undefined {
  const { group, version } = splitApiVersion(apiVersion)
  return kinds.find((row) => row.kind === kind && row.group === group && row.versions.includes(version))
}

/** Why `kindOf` found nothing, and what is served instead. */
export function unknownKind(apiVersion: string, kind: string): string {
  const { group } = splitApiVersion(apiVersion)
  const sameKind = kinds.find((row) => row.kind === kind)
  if (sameKind !== undefined) {
    const served = sameKind.versions.map((version) => formatApiVersion(sameKind.group, version)).join(', ')
    const what = sameKind.group === group ? 'version' : 'API group'
    return `${kind} has no ${what} "${apiVersion}"; served: ${served}`
  }
  const names = kinds.map((row) => row.kind)
  return `kind "${kind}" of "${apiVersion}" is not served; served are ${names.join(', ')}${didYouMean(kind, names)}`
}
