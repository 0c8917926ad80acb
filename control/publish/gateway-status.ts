// What a waypoint's Gateway tells besides its conditions: addresses of the instances and, listener by listener, what became of it
// (GatewayStatus). Pure; status-shape.ts joins it with what stands there.
import type { GatewaySpec } from '../../core/model/fields/gateway.ts'
import type { Condition, MeshObject } from '../../core/model/resource.ts'
import type { Finding } from '../compile/conditions.ts'
import { judgeListener, type Listener } from '../compile/waypoints/listeners.ts'

export interface GatewayFacts {
  /** Canonical addresses of the instances. */
  readonly addresses: readonly string[]
}

export interface ListenerStatus {
  readonly name: string
  /** Routes attach to Services, not to the listener of a waypoint: none. */
  readonly attachedRoutes: number
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[]
  readonly conditions: readonly Finding[]
}

const maxAddresses = 16

export function addressStatus({ addresses }: GatewayFacts) {
  return addresses.slice(0, maxAddresses).map((value) => ({ type: 'IPAddress', value }))
}

/** @param programmed that of the Gateway, where something is said of it */
export function listenerStatus(object: MeshObject, programmed: Condition | undefined): readonly ListenerStatus[] {
  const { listeners } = object.spec as unknown as GatewaySpec
  return listeners.map((listener) => ({
    name: listener.name,
    attachedRoutes: 0,
    supportedKinds: [],
    conditions: conditionsOf(listener, programmed),
  }))
}

function conditionsOf(listener: Listener, programmed: Condition | undefined): readonly Finding[] {
  const accepted = judgeListener(listener)
  const { status = 'Unknown', reason = 'Pending', message = '' } = programmed ?? {}
  const inForce: Finding =
    accepted.status === 'True'
      ? { type: 'Programmed', status, reason, message }
      : { type: 'Programmed', status: 'False', reason: 'Invalid', message: accepted.message }
  return [
    accepted,
    inForce,
    kindsOf(listener),
    { type: 'Conflicted', status: 'False', reason: 'NoConflicts', message: '' },
  ]
}

/** Which kinds a waypoint's listener takes: none, whatever the author lists. */
function kindsOf({ allowedRoutes }: Listener): Finding {
  const kinds = (allowedRoutes?.kinds ?? []).map(({ kind }) => kind)
  if (kinds.length === 0) return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: '' }
  const message = `${kinds.join(', ')}: routes attach to Services (parentRefs of kind Service), not to the listener of a waypoint`
  return { type: 'ResolvedRefs', status: 'False', reason: 'InvalidRouteKinds', message }
}
