// WorkloadEntry: one workload, reported by an agent (then with Culvert's annotations) or written by the operator.

import { type CompileSettings, names } from '../../../control/compile/settings.ts'
import { isEnrolled } from '../../../core/model/enrolment.ts'
import type { WorkloadEntrySpec } from '../../../core/model/fields/workload-entry.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import type { Workload } from '../../../core/model/types.ts'
import { canonicalAddress } from '../../../core/net/address.ts'
import { type Findings, nameOf, notAccepted } from './conditions.ts'
import { annotation, olderFirst } from './order.ts'
import type { PeerAuthenticationOf } from './peer-authentication.ts'
import { type CompiledService, membershipsOf } from './service.ts'
import { asInstance, type Waypoints } from './waypoints.ts'

export interface WorkloadContext {
  readonly settings: CompileSettings
  readonly namespaces: ReadonlyMap<string, MeshObject>
  readonly servicesByNamespace: ReadonlyMap<string, readonly CompiledService[]>
  readonly peerAuthentication: PeerAuthenticationOf
  readonly waypoints: Waypoints
  readonly findings: Findings
}

/** Workloads without their policies, by age: an address and a uid belong to the oldest entry that claims them. */
export function compileWorkloads(objects: readonly MeshObject[], context: WorkloadContext): readonly Workload[] {
  const addressOwners = new Map<string, MeshObject>()
  const uids = new Map<string, MeshObject>()
  const workloads: Workload[] = []
  for (const object of [...objects].sort(olderFirst)) {
    const uid = workloadUid(object)
    const twin = uids.get(uid)
    if (twin !== undefined) {
      context.findings.add(object, notAccepted('DuplicateUid', `the uid ${uid} belongs to ${nameOf(twin)}`))
      continue
    }
    uids.set(uid, object)
    const addresses = claim(object, addressOwners, context.findings)
    workloads.push(compileWorkload(object, uid, addresses, context))
  }
  return workloads
}

function compileWorkload(
  object: MeshObject,
  uid: string,
  addresses: readonly string[],
  context: WorkloadContext,
): Workload {
  const spec = object.spec as WorkloadEntrySpec | undefined
  const { namespace = '', name } = object.metadata
  const labels = effectiveLabels(object)
  const namespaceLabels = context.namespaces.get(namespace)?.metadata.labels ?? {}
  const services = context.servicesByNamespace.get(namespace) ?? []
  const own = context.waypoints.instanceOf(object, labels, serviceAccountOf(object))
  const waypoint = own === undefined ? context.waypoints.of(object, labels, 'workload') : undefined
  const memberships =
    own === undefined ? membershipsOf({ object, labels, ports: spec?.ports ?? {} }, services, context.findings) : []
  const workload: Workload = {
    uid,
    name,
    namespace,
    serviceAccount: serviceAccountOf(object),
    trustDomain: context.settings.mesh.trustDomain,
    node: annotation(object, names.node) ?? '',
    addresses,
    labels,
    enrolled: isEnrolled(labels, namespaceLabels, context.settings.istioLabels),
    protocol: usesTunnel(object, labels, context.settings) ? 'HBONE' : 'TCP',
    health: isHealthy(object) ? 'healthy' : 'unhealthy',
    locality: spec?.locality ?? '',
    weight: spec?.weight ?? 1,
    services: memberships,
    peerAuthentication: context.peerAuthentication(namespace, labels),
    authorizations: [],
    ...(waypoint === undefined ? {} : { waypoint }),
  }
  return own === undefined ? workload : asInstance(object, workload, own)
}

/** What the agent reported, or the object's own uid for an entry of the operator. */
export function workloadUid(object: MeshObject): string {
  return annotation(object, names.workloadUid) ?? object.metadata.uid ?? nameOf(object)
}

export function serviceAccountOf(object: MeshObject): string {
  const account = (object.spec as WorkloadEntrySpec | undefined)?.serviceAccount ?? ''
  return account === '' ? 'default' : account
}

/** The workload's own labels, overlaid by those that the operator put on the object. */
export function effectiveLabels(object: MeshObject): Readonly<Record<string, string>> {
  return { ...(object.spec as WorkloadEntrySpec | undefined)?.labels, ...object.metadata.labels }
}

/** Canonical addresses: all that the agent reported, or the one in the spec where it is not a name. */
export function addressesOf(object: MeshObject): readonly string[] {
  const listed = annotation(object, names.addresses)
  const written = listed?.split(',') ?? [(object.spec as WorkloadEntrySpec | undefined)?.address ?? '']
  return [...new Set(written.flatMap((text) => canonicalAddress(text.trim()) ?? []))]
}

function claim(object: MeshObject, owners: Map<string, MeshObject>, findings: Findings): readonly string[] {
  return addressesOf(object).filter((address) => {
    const owner = owners.get(address)
    if (owner === undefined) owners.set(address, object)
    else {
      const message = `${address} belongs to the older entry ${nameOf(owner)}`
      findings.add(object, { type: 'AddressesUnique', status: 'False', reason: 'AddressTaken', message })
    }
    return owner === undefined
  })
}

function usesTunnel(object: MeshObject, labels: Readonly<Record<string, string>>, settings: CompileSettings): boolean {
  if (annotation(object, names.redirection) === 'enabled') return true
  if (annotation(object, names.workloadUid) !== undefined || !settings.istioLabels) return false
  return labels[names.istioTunnel] === 'http' || annotation(object, names.istioRedirection) === 'enabled'
}

function isHealthy(object: MeshObject): boolean {
  if (annotation(object, names.health) === 'unhealthy') return false
  return object.status?.conditions?.find((condition) => condition.type === 'Healthy')?.status !== 'False'
}
