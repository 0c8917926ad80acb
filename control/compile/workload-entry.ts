// WorkloadEntry: one workload, reported by an agent (then with Culvert's annotations) or written by the operator.
import { enrolmentMode } from '../../core/model/enrolment.ts'
import type { WorkloadEntrySpec } from '../../core/model/fields/workload-entry.ts'
import { workloadEntryKind } from '../../core/model/kinds/istio.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { Workload } from '../../core/model/types.ts'
import { canonicalAddress } from '../../core/net/address.ts'
import { authorizationsOf } from './authorization-policy.ts'
import { nameOf, notAccepted } from './conditions.ts'
import { namespaceEnrolment } from './namespace.ts'
import { annotation } from './order.ts'
import { peerAuthenticationOf } from './peer-authentication.ts'
import type { Rule, Scope } from './rule.ts'
import { type Memberships, membershipsOf } from './service.ts'
import { type CompileSettings, names } from './settings.ts'
import { topic } from './topics.ts'
import { offerUncaptured } from './uncaptured.ts'
import { waypointOf } from './waypoints/attachment.ts'
import { instanceOf } from './waypoints/gateway.ts'
import { tunnelPort } from './waypoints/listeners.ts'

const uidClaim = topic<true>('workload-uid')
/** Claims of an address, each with the uid of the workload. */
const addressClaim = topic<string>('workload-address')

export const workloadOffer: Rule = {
  kind: workloadEntryKind,
  run(object, scope) {
    const uid = workloadUid(object)
    scope.offer(uidClaim(uid), true)
    for (const address of addressesOf(object)) scope.offer(addressClaim(address), uid)
  },
}

/** A uid belongs to the oldest entry that claims it, and so does an address; an entry without a uid of its own claims none. */
export const workloadRule: Rule = {
  kind: workloadEntryKind,
  run(object, scope) {
    const uid = workloadUid(object)
    const [owner] = scope.read(uidClaim(uid))
    if (owner !== undefined && owner.key !== scope.key) {
      scope.tell(notAccepted('DuplicateUid', `the uid ${uid} belongs to ${owner.name}`))
      return
    }
    const workload = compileWorkload(object, uid, ownAddresses(object, scope), scope)
    scope.emit({ kind: 'Workload', key: uid, value: workload })
    if (workload.protocol === 'TCP') offerUncaptured(workload, scope)
  },
}

function ownAddresses(object: MeshObject, scope: Scope): readonly string[] {
  return addressesOf(object).filter((address) => {
    const claims = scope.read(addressClaim(address))
    const owner = claims.find(({ key, value: uid }) => scope.read(uidClaim(uid))[0]?.key === key)
    if (owner === undefined || owner.key === scope.key) return true
    const message = `${address} belongs to the older entry ${owner.name}`
    scope.tell({ type: 'AddressesUnique', status: 'False', reason: 'AddressTaken', message })
    return false
  })
}

function compileWorkload(object: MeshObject, uid: string, addresses: readonly string[], scope: Scope): Workload {
  const { settings } = scope
  const spec = object.spec as WorkloadEntrySpec | undefined
  const { namespace = '', name } = object.metadata
  const labels = effectiveLabels(object)
  const serviceAccount = serviceAccountOf(object)
  const waypoint = instanceOf({ namespace, serviceAccount, labels }, scope)
  const services =
    waypoint === undefined ? membershipsOf({ object, labels, ports: spec?.ports ?? {} }, scope) : instances(waypoint)
  return {
    uid,
    name,
    namespace,
    serviceAccount,
    trustDomain: settings.mesh.trustDomain,
    node: annotation(object, names.node) ?? '',
    addresses,
    labels,
    // a waypoint is an end of tunnels itself: nobody captures it
    enrolled: waypoint === undefined && isEnrolled(namespace, labels, scope),
    protocol: waypoint !== undefined || usesTunnel(object, labels, settings) ? 'HBONE' : 'TCP',
    health: isHealthy(object) && (waypoint === undefined || isOpen(object)) ? 'healthy' : 'unhealthy',
    locality: spec?.locality ?? '',
    weight: spec?.weight ?? 1,
    services: services.parts,
    peerAuthentication: peerAuthenticationOf(namespace, labels, scope),
    authorizations: authorizationsOf(namespace, labels, services.names, scope),
    ...(waypoint === undefined ? frontOf(namespace, labels, scope) : {}),
  }
}

/** The waypoint that takes what goes to the workload's own addresses. */
function frontOf(namespace: string, labels: Workload['labels'], scope: Scope): Pick<Workload, 'waypoint'> {
  const waypoint = waypointOf({ namespace, labels, traffic: 'workload' }, scope)
  return waypoint === undefined ? {} : { waypoint }
}

/** An instance of a waypoint stands behind nothing else. */
function instances(waypoint: string): Memberships {
  return { parts: [{ service: waypoint, ports: { [tunnelPort]: tunnelPort } }], names: [] }
}

/** The workload's own word, then that of its namespace. */
function isEnrolled(namespace: string, labels: Workload['labels'], scope: Scope): boolean {
  const own = enrolmentMode(labels, scope.settings.istioLabels)
  return (own ?? scope.read(namespaceEnrolment(namespace))[0]?.value) === 'ambient'
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

function usesTunnel(object: MeshObject, labels: Readonly<Record<string, string>>, settings: CompileSettings): boolean {
  if (annotation(object, names.redirection) === 'enabled') return true
  if (annotation(object, names.workloadUid) !== undefined || !settings.istioLabels) return false
  return labels[names.istioTunnel] === 'http' || annotation(object, names.istioRedirection) === 'enabled'
}

/** An instance that reports itself says with `captured` whether it takes tunnels; one that somebody wrote does. */
function isOpen(object: MeshObject): boolean {
  return annotation(object, names.workloadUid) === undefined || annotation(object, names.redirection) === 'enabled'
}

function isHealthy(object: MeshObject): boolean {
  if (annotation(object, names.health) === 'unhealthy') return false
  return object.status?.conditions?.find((condition) => condition.type === 'Healthy')?.status !== 'False'
}
