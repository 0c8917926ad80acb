// Where an object's status keeps conditions, and what of them is ours: `status.conditions` of most kinds, one entry for each parent of a
// route (Gateway API, RouteStatus), and those of a Gateway's listeners. Pure; the status writer calls it with what should be said.
import { isDeepStrictEqual } from 'node:util'
import { splitApiVersion } from '../../core/model/kinds.ts'
import type { Condition, MeshObject } from '../../core/model/resource.ts'
import { conditionsOf, type Finding } from '../compile/conditions.ts'
import { otherController, waypointController } from '../compile/waypoints/gateway.ts'
import { addressStatus, type GatewayFacts, type ListenerStatus, listenerStatus } from './gateway-status.ts'

/** RouteParentStatus.controllerName. */
export const controllerName = 'culvert.dev/controller'

/** Types of conditions that the control plane decides; all others belong to somebody else and stay. */
const ownTypes: ReadonlySet<string> = new Set([
  'Accepted',
  'ResolvedRefs',
  'Programmed',
  'FullyEnforced',
  'WorkloadsCaptured',
  'AddressesUnique',
  'PortsResolved',
  'PartiallyInvalid',
  'WaypointBound',
  'WaypointInstance',
])

const routes: ReadonlySet<string> = new Set(['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'])

/** Kinds of the inventory: they get conditions only where there is something to say. */
const quietKinds: ReadonlySet<string> = new Set(['Namespace', 'Service', 'WorkloadEntry'])

/** Groups whose objects tell what the mesh does with them. Pods, Secrets and the like belong to others. */
const told: ReadonlySet<string> = new Set([
  'networking.istio.io',
  'security.istio.io',
  'telemetry.istio.io',
  'gateway.networking.k8s.io',
  'culvert.dev',
])

/** Whether the control plane says anything in the status of such objects. */
export function hasConditions(kind: string, group: string): boolean {
  return (told.has(group) && kind !== 'ReferenceGrant') || quietKinds.has(kind)
}

export function isQuiet(kind: string): boolean {
  return quietKinds.has(kind)
}

/** Whether the control plane decides a condition. */
export function isOwn(condition: Condition): boolean {
  return ownTypes.has(condition.type) || condition.type.startsWith('Ignored.')
}

/**
 * The status that says what is wanted, or undefined where it does already, and for a GatewayClass of another controller. A condition
 * keeps the time of its last change while its status stays.
 *
 * @param now RFC 3339
 * @param facts of a Gateway
 */
export function statusToWrite(
  object: MeshObject,
  wanted: readonly Condition[],
  now: string,
  facts: GatewayFacts = { addresses: [] },
): MeshObject['status'] | undefined {
  if (object.kind === 'GatewayClass' && object.spec?.['controllerName'] !== waypointController) return undefined
  if (object.kind === 'Gateway') return gatewayStatus(object, wanted, now, facts)
  if (routes.has(object.kind)) return routeStatus(object, wanted, now)
  const current = object.status?.conditions ?? []
  const saying = isQuiet(object.kind) && !worthSaying(current, wanted) ? [] : wanted
  const conditions = merged(current, fitting(object, saying), now)
  return isDeepStrictEqual(conditions, current) ? undefined : { ...object.status, conditions }
}

function worthSaying(current: readonly Condition[], wanted: readonly Condition[]): boolean {
  return current.some(isOwn) || !wanted.every(({ status, type }) => status === 'True' && ownTypes.has(type))
}

function merged(current: readonly Condition[], wanted: readonly Condition[], now: string): readonly Condition[] {
  return [...current.filter((condition) => !isOwn(condition)), ...timed(current, wanted, now)]
}

function timed(current: readonly Condition[], wanted: readonly Condition[], now: string): readonly Condition[] {
  const before = new Map(current.map((condition) => [condition.type, condition]))
  return wanted.map((condition) => {
    const earlier = before.get(condition.type)
    const kept = earlier?.status === condition.status ? earlier.lastTransitionTime : undefined
    return { ...condition, lastTransitionTime: kept ?? now }
  })
}

/** As many as the Gateway API has room for (`maxItems` of its conditions). */
const maxConditions = 8

/** What is ignored becomes one condition where there are too many. */
function fitting({ apiVersion }: MeshObject, wanted: readonly Condition[]): readonly Condition[] {
  if (wanted.length <= maxConditions || splitApiVersion(apiVersion).group !== 'gateway.networking.k8s.io') return wanted
  const [first, ...ignored] = wanted.filter(({ type }) => type.startsWith('Ignored.'))
  if (first === undefined) return wanted
  const message = [first, ...ignored].map((each) => each.message).join('; ')
  const joined = { ...first, type: 'Ignored.fields', message: message.slice(0, maxMessage) }
  return [...wanted.filter(({ type }) => !type.startsWith('Ignored.')), joined]
}

const maxMessage = 4096

/** Undefined for a Gateway of another controller too. */
function gatewayStatus(
  object: MeshObject,
  wanted: readonly Condition[],
  now: string,
  facts: GatewayFacts,
): MeshObject['status'] | undefined {
  if (wanted.some(({ reason }) => reason === otherController)) return undefined
  const { status = {} } = object
  const before = (status['listeners'] ?? []) as readonly (Omit<ListenerStatus, 'conditions'> & {
    readonly conditions: readonly Condition[]
  })[]
  const programmed = wanted.find(({ type }) => type === 'Programmed')
  const listeners = listenerStatus(object, programmed).map(({ conditions, ...listener }) => {
    const earlier = before.find(({ name }) => name === listener.name)?.conditions ?? []
    return { ...listener, conditions: timed(earlier, conditionsOf(object, conditions), now) }
  })
  const conditions = merged(status.conditions ?? [], fitting(object, wanted), now)
  const next = { ...status, addresses: addressStatus(facts), conditions, listeners }
  return isDeepStrictEqual(next, status) ? undefined : next
}

/** What is said of an object: of a route, for each of its parents. */
export function conditionsIn({ kind, status }: MeshObject): readonly Condition[] {
  if (!routes.has(kind)) return status?.conditions ?? []
  const parents = (status?.['parents'] ?? []) as readonly ParentStatus[]
  return parents.flatMap((parent) => (parent.controllerName === controllerName ? parent.conditions : []))
}

interface ParentStatus {
  readonly parentRef: Readonly<Record<string, unknown>>
  readonly controllerName: string
  readonly conditions: readonly Condition[]
}

/** Parents of other controllers stay; ours are those that the route names. */
function routeStatus(object: MeshObject, wanted: readonly Condition[], now: string): MeshObject['status'] | undefined {
  const current = (object.status?.['parents'] ?? []) as readonly ParentStatus[]
  const foreign = current.filter((parent) => parent.controllerName !== controllerName)
  const refs = (object.spec?.['parentRefs'] ?? []) as readonly ParentStatus['parentRef'][]
  const own = refs.flatMap((parentRef, index) => {
    const conditions = conditionsOfParent(wanted, index)
    if (conditions === undefined) return []
    const earlier = current.find(
      (parent) => parent.controllerName === controllerName && isDeepStrictEqual(parent.parentRef, parentRef),
    )
    return [
      { parentRef, controllerName, conditions: merged(earlier?.conditions ?? [], fitting(object, conditions), now) },
    ]
  })
  const parents = [...foreign, ...own]
  return isDeepStrictEqual(parents, current) ? undefined : { ...object.status, parents }
}

/** What is said of one parent comes before what is said of all. Undefined for a parent that is another controller's. */
function conditionsOfParent(wanted: readonly (Condition & Finding)[], index: number): readonly Condition[] | undefined {
  const own = wanted.filter(({ parent }) => parent === index)
  const types = new Set(own.map(({ type }) => type))
  const general = wanted.filter(({ parent, type }) => parent === undefined && !types.has(type))
  const refusal = own.find(({ type, status }) => type === 'Accepted' && status === 'False')
  if (refusal?.reason === otherController) return undefined
  return [...own, ...general].map(({ parent: _, ...condition }) => {
    if (refusal === undefined || condition.type !== 'Programmed') return condition
    return { ...condition, status: 'False', reason: 'Invalid', message: 'the route is not accepted here' }
  })
}
