// Gateway and GatewayClass: a Gateway of a waypoint's class is a Service whose endpoints are the waypoint's instances. It goes before a
// Service object of the same name, which is how Istio's own Service for a waypoint stands beside it.
import type { GatewaySpec } from '../../../core/model/fields/gateway.ts'
import type { GatewayClassSpec } from '../../../core/model/fields/gateway-class.ts'
import { gatewayClassKind, gatewayKind } from '../../../core/model/kinds/gateway.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import {
  gatewayName,
  type WaypointTraffic,
  waypointSafety,
  waypointTraffic,
} from '../../../core/model/waypoint-labels.ts'
import { type Finding, nameOf, notAccepted } from '../conditions.ts'
import type { Labels } from '../order.ts'
import type { Rule, Scope } from '../rule.ts'
import type { CompileSettings } from '../settings.ts'
import { topic } from '../topics.ts'
import { type AllowedNamespaces, allowedNamespaces, judgeListener, tunnelPort, waypointListener } from './listeners.ts'

/** The class that is there without an object, and its controller; other classes of this controller are as good. */
export const waypointClass = 'culvert-waypoint'
export const istioWaypointClass = 'istio-waypoint'
export const waypointController = 'culvert.dev/waypoint'

/** Reason of Accepted: False where nothing is to be written into the object. */
export const otherController = 'OtherController'

/** What others must know of a Gateway. */
export type DeclaredGateway =
  | {
      readonly kind: 'waypoint'
      /** Key of its Service. */
      readonly service: string
      readonly takes: WaypointTraffic
      readonly allowed: AllowedNamespaces
    }
  | { readonly kind: 'other'; readonly why: string }

/** By `namespace/name`. */
export const declaredGateway = topic<DeclaredGateway>('gateway')
/** By the name of the class: its controller. */
const classController = topic<string>('gateway-class')

export const gatewayClassOffer: Rule = {
  kind: gatewayClassKind,
  run({ metadata: { name }, spec }, scope) {
    scope.offer(classController(name), (spec as unknown as GatewayClassSpec).controllerName)
  },
}

export const gatewayRule: Rule = {
  kind: gatewayKind,
  run(object, scope) {
    const spec = object.spec as unknown as GatewaySpec
    const { namespace = '', name, labels = {}, annotations = {} } = object.metadata
    const listener = waypointListener(spec)
    const refusal = nameRefusal(name) ?? refusalOf(spec, listener === undefined, scope)
    if (refusal !== undefined) scope.tell(refusal)
    if (refusal?.status === 'False' || listener === undefined) {
      scope.offer(declaredGateway(nameOf(object)), { kind: 'other', why: refusal?.message ?? '' })
      return
    }
    const hostname = `${name}.${namespace}.${scope.settings.mesh.serviceDomain}`
    const service = `${namespace}/${hostname}`
    const takes = waypointTraffic(labels, scope.settings.istioLabels)
    const allowed = allowedNamespaces(listener)
    scope.offer(declaredGateway(nameOf(object)), { kind: 'waypoint', service, takes, allowed })
    const ports = [{ name: 'hbone', port: tunnelPort, protocol: 'TCP' }] as const
    const gateway = { takes, ...waypointSafety(annotations) }
    const rest = { vips: [], headless: true, ports, identities: [], gateway, loadBalancing: 'random' } as const
    scope.emit({ kind: 'Service', key: service, value: { namespace, name, hostname, ...rest } })
  },
}

/** As long as a value of a label. */
const maxNameLength = 63

/** The service account of every workload that says none: all of them would have the waypoint's identity. */
const commonAccount = 'default'

function nameRefusal(name: string): Finding | undefined {
  if (name === commonAccount) {
    const message = `the waypoint's identity is the service account that has its name, and "${commonAccount}" is that of every workload without one of its own: give the Gateway another name`
    return notAccepted('InvalidParameters', message)
  }
  if (name.length <= maxNameLength) return undefined
  const message = `the name has ${name.length} characters, and labels that ask for a waypoint hold ${maxNameLength}`
  return notAccepted('InvalidParameters', message)
}

/** What is to be said of the Gateway besides that it is accepted; of status False where it is none of ours. */
function refusalOf(spec: GatewaySpec, isDeaf: boolean, scope: Scope): Finding | undefined {
  const controller = controllerOf(spec.gatewayClassName, scope)
  if (controller === undefined) {
    const message = `there is no GatewayClass ${spec.gatewayClassName}: write ${waypointClass} for a waypoint`
    return notAccepted('InvalidParameters', message)
  }
  if (controller !== waypointController) {
    return notAccepted(otherController, `the class ${spec.gatewayClassName} is of the controller ${controller}`)
  }
  const wrong = spec.listeners.flatMap((listener) => {
    const { status, message } = judgeListener(listener)
    return status === 'True' ? [] : [`${listener.name}: ${message}`]
  })
  if (wrong.length === 0) return undefined
  const message = `listeners that a waypoint does not have: ${wrong.join('; ')}`
  return { type: 'Accepted', status: isDeaf ? 'False' : 'True', reason: 'ListenersNotValid', message }
}

/** Undefined: nobody stands behind the class. */
function controllerOf(name: string, scope: Scope): string | undefined {
  const builtIn = name === waypointClass || (name === istioWaypointClass && scope.settings.istioLabels)
  return builtIn ? waypointController : scope.read(classController(name))[0]?.value
}

/** Whether the Gateway of the same name is a waypoint: then that name is taken. */
export function isNameOfWaypoint(object: MeshObject, scope: Scope): boolean {
  return scope.read(declaredGateway(nameOf(object)))[0]?.value.kind === 'waypoint'
}

/** A workload as `instanceOf` looks at it. */
export interface InstanceFacts {
  readonly namespace: string
  readonly serviceAccount: string
  readonly labels: Labels
}

/**
 * Key of the Service of the waypoint that a workload is an instance of. What destinations believe a waypoint for is its identity, so
 * the label counts only together with the service account that has the Gateway's name.
 */
export function instanceOf({ namespace, serviceAccount, labels }: InstanceFacts, scope: Scope): string | undefined {
  const named = Object.hasOwn(labels, gatewayName) ? labels[gatewayName] : undefined
  if (named === serviceAccount) {
    const gateway = scope.read(declaredGateway(`${namespace}/${named}`))[0]?.value
    return gateway?.kind === 'waypoint' ? gateway.service : undefined
  }
  if (named !== undefined) tellImpostor(namespace, named, serviceAccount, scope)
  if (scope.read(declaredGateway(`${namespace}/${serviceAccount}`))[0]?.value.kind === 'waypoint') {
    const message = `it has the identity of the waypoint ${namespace}/${serviceAccount} without being one: destinations do not take it for one, so what passes its waypoint must pass it too; give it another service account`
    scope.tell(noInstance('IdentityOfWaypoint', message))
  }
  return undefined
}

function tellImpostor(namespace: string, named: string, serviceAccount: string, scope: Scope): void {
  if (scope.read(declaredGateway(`${namespace}/${named}`))[0]?.value.kind !== 'waypoint') return
  const message = `${gatewayName}: ${named} makes it an instance only with the service account ${named}, and it has ${serviceAccount}`
  scope.tell(noInstance('ServiceAccountMismatch', message))
}

function noInstance(reason: string, message: string): Finding {
  return { type: 'WaypointInstance', status: 'False', reason, message }
}

/** For those who follow objects: `namespace/name` of the Gateway that a workload says it is an instance of, with its identity. */
export function claimedGateway({ namespace, serviceAccount, labels }: InstanceFacts): string | undefined {
  const named = Object.hasOwn(labels, gatewayName) ? labels[gatewayName] : undefined
  return named === serviceAccount ? `${namespace}/${named}` : undefined
}

/** `namespace/hostname` of the Service of a Gateway that may not exist. */
export function waypointServiceKey(namespace: string, name: string, settings: CompileSettings): string {
  return `${namespace}/${name}.${namespace}.${settings.mesh.serviceDomain}`
}
