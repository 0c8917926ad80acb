// Objects and settings for the compile tests, as a store would hold them.
import type { CompileSettings } from '../../control/compile/settings.ts'
import type { MeshObject, ObjectMeta } from '../../core/model/resource.ts'

export const settings: CompileSettings = {
  mesh: {
    trustDomain: 'td.example',
    clusterName: 'Kubernetes',
    rootNamespace: 'culvert-system',
    vipRanges: ['240.240.0.0/16', '2001:2::/48'],
    serviceDomain: 'svc.cluster.local',
  },
  rootNamespaces: ['culvert-system', 'istio-system'],
  istioLabels: true,
}

type Meta = Omit<ObjectMeta, 'name'>

function object(apiVersion: string, kind: string, name: string, spec: object | undefined, meta: Meta): MeshObject {
  const metadata = { name, uid: `uid-${kind}-${meta.namespace ?? ''}-${name}`, generation: 1, ...meta }
  return { apiVersion, kind, metadata, ...(spec === undefined ? {} : { spec: spec as Record<string, unknown> }) }
}

export function namespace(name: string, labels: Readonly<Record<string, string>> = {}): MeshObject {
  return object('v1', 'Namespace', name, undefined, { labels })
}

export function service(name: string, spec: object, meta: Meta = {}): MeshObject {
  return object('v1', 'Service', name, spec, { namespace: 'shop', ...meta })
}

export function entry(name: string, spec: object, meta: Meta = {}): MeshObject {
  return object('networking.istio.io/v1', 'WorkloadEntry', name, spec, { namespace: 'shop', ...meta })
}

export function policy(name: string, spec: object, meta: Meta = {}): MeshObject {
  return object('security.istio.io/v1', 'AuthorizationPolicy', name, spec, { namespace: 'shop', ...meta })
}

export function peerAuthentication(name: string, spec: object, meta: Meta = {}): MeshObject {
  return object('security.istio.io/v1beta1', 'PeerAuthentication', name, spec, { namespace: 'shop', ...meta })
}

/** As `istioctl waypoint generate` writes it; `spec` replaces parts. */
export function gateway(name: string, spec: object = {}, meta: Meta = {}): MeshObject {
  const listeners = [{ name: 'mesh', port: 15008, protocol: 'HBONE' }]
  const whole = { gatewayClassName: 'culvert-waypoint', listeners, ...spec }
  return object('gateway.networking.k8s.io/v1', 'Gateway', name, whole, { namespace: 'shop', ...meta })
}

export function gatewayClass(name: string, controllerName: string): MeshObject {
  return object('gateway.networking.k8s.io/v1', 'GatewayClass', name, { controllerName }, {})
}
