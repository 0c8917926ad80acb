// Compiled resources for tests of everything that reads a Snapshot: complete and valid, fields overridden as needed.
import { Snapshot, serviceKey } from '../../core/model/snapshot.ts'
import type {
  Authorization,
  AuthorizationMatch,
  CompiledKey,
  CompiledResource,
  MeshSettings,
  Service,
  Workload,
} from '../../core/model/types.ts'

export const meshSettings: MeshSettings = {
  trustDomain: 'cluster.local',
  clusterName: 'Kubernetes',
  rootNamespace: 'culvert-system',
  vipRanges: ['240.240.0.0/16', '2001:2::/48'],
  serviceDomain: 'svc.cluster.local',
}

export function workload(fields: Partial<Workload> = {}): Workload {
  const name = fields.name ?? 'orders-1'
  const namespace = fields.namespace ?? 'shop'
  return {
    uid: `h1/${namespace}/${name}/1`,
    name,
    namespace,
    serviceAccount: 'orders',
    trustDomain: 'cluster.local',
    node: 'h1',
    addresses: ['10.0.0.1'],
    labels: {},
    enrolled: true,
    protocol: 'HBONE',
    health: 'healthy',
    locality: '',
    weight: 1,
    services: [],
    peerAuthentication: { mode: 'PERMISSIVE', ports: {} },
    authorizations: [],
    ...fields,
  }
}

export function service(fields: Partial<Service> = {}): Service {
  const name = fields.name ?? 'orders'
  const namespace = fields.namespace ?? 'shop'
  return {
    namespace,
    name,
    hostname: `${name}.${namespace}.svc.cluster.local`,
    vips: ['240.240.0.1', '2001:2::1'],
    headless: false,
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    identities: [],
    loadBalancing: 'random',
    ...fields,
  }
}

export function authorization(fields: Partial<Authorization> = {}): Authorization {
  return { namespace: 'shop', name: 'policy', scope: 'namespace', action: 'ALLOW', rules: [], dryRun: false, ...fields }
}

/** One rule whose only clause has these matches. */
export function rule(...matches: readonly AuthorizationMatch[]): Authorization['rules'] {
  return [{ index: 0, clauses: [matches] }]
}

export function resourceOf(value: Workload | Service | Authorization): CompiledResource {
  if ('uid' in value) return { kind: 'Workload', key: value.uid, value }
  if ('hostname' in value) return { kind: 'Service', key: serviceKey(value), value }
  return { kind: 'Authorization', key: `${value.namespace}/${value.name}`, value }
}

export const meshResource: CompiledResource = { kind: 'Mesh', key: 'mesh', value: meshSettings }

/** A delta of the epoch `e`. */
export function delta(
  version: number,
  values: readonly (Workload | Service | Authorization)[],
  removes: readonly CompiledKey[] = [],
  full = false,
) {
  return { epoch: 'e', version, full, upserts: values.map(resourceOf), removes }
}

/** A snapshot that holds exactly these. */
export function snapshotOf(...values: readonly (Workload | Service | Authorization)[]): Snapshot {
  const snapshot = new Snapshot()
  const upserts = [meshResource, ...values.map(resourceOf)]
  const refused = snapshot.apply({ epoch: 'e', version: 1, full: true, upserts, removes: [] })
  if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused)}`)
  return snapshot
}
