// Who stands in the waypoint's place, where everybody's workloads are, and the resources. Pure; world.ts builds it.
import type { Topology, TopologyWorkload } from '../../lab/topology.ts'

/** `direct`: the mesh without a layer-7 proxy. The others: a proxy between the same daemons. */
export const meshSubjects = ['direct', 'culvert', 'haproxy', 'nginx'] as const
/** The same without a mesh: namespaces that are not enrolled, the proxy alone between client and application. */
export const plainSubjects = ['plain-direct', 'plain-culvert', 'plain-haproxy', 'plain-nginx'] as const
export const subjects = [...meshSubjects, ...plainSubjects] as const
export type Subject = (typeof subjects)[number]
export const peers = ['haproxy', 'nginx'] as const
export type Peer = (typeof peers)[number]

export function isPlain(subject: Subject): subject is (typeof plainSubjects)[number] {
  return subject.startsWith('plain-')
}

/** Who it is, with or without a mesh. */
export function proxyOf(subject: Subject): (typeof meshSubjects)[number] {
  return subject.replace(/^plain-/, '') as (typeof meshSubjects)[number]
}

export const hosts = { client: 'hc', proxy: 'hp', server: 'hs' } as const

/** What the application listens on, and each peer. h2: prior knowledge. */
export const ports = { http: 8080, h2: 8081 } as const

/**
 * Proxies that a request passes, as they are met. A peer is a workload like any other: its host's daemon takes the tunnel's end for it
 * and captures what it sends; a waypoint is an end of tunnels itself.
 */
export const hops: Readonly<Record<Subject, readonly string[]>> = {
  direct: ['daemon@hc', 'daemon@hs'],
  culvert: ['daemon@hc', 'waypoint', 'daemon@hs'],
  haproxy: ['daemon@hc', 'daemon@hp', 'haproxy', 'daemon@hp', 'daemon@hs'],
  nginx: ['daemon@hc', 'daemon@hp', 'nginx', 'daemon@hp', 'daemon@hs'],
  'plain-direct': [],
  'plain-culvert': ['waypoint as a plain proxy'],
  'plain-haproxy': ['haproxy'],
  'plain-nginx': ['nginx'],
}

/** Name of the Service that the client calls for a subject in the mesh. */
export function frontendOf(subject: Subject): string {
  return subject === 'culvert' ? 'behind-waypoint' : subject
}

/** The application behind a subject: with a mesh one behind the waypoint, one for all others, since a waypoint's destinations take nothing else. */
export function applicationOf(subject: Subject): string {
  return subject === 'culvert' ? 'application-behind' : 'application'
}

/** Workload of the client, the peer or the application, as the lab takes it. */
export function workloadOf(subject: Subject, name: string): string {
  return `${name}.${isPlain(subject) ? plainNamespace : namespace}`
}

const plainNamespace = 'plain'

export const waypointName = 'wp'
export const namespace = 'mesh'

export function waypointTopology(): Topology {
  const at = (name: string, host: string, app: string, inNamespace = namespace): TopologyWorkload => ({
    name,
    namespace: inNamespace,
    serviceAccount: app,
    host,
    labels: { app },
    ports: {},
    process: { kind: 'idle' },
  })
  return {
    hosts: Object.values(hosts),
    workloads: [
      at('client', hosts.client, 'client'),
      ...peers.map((peer) => at(peer, hosts.proxy, peer)),
      at('application', hosts.server, 'application'),
      at('application-behind', hosts.server, 'application-behind'),
      at('client', hosts.client, 'client', plainNamespace),
      ...['culvert', ...peers].map((proxy) => at(proxy, hosts.proxy, proxy, plainNamespace)),
      at('application', hosts.server, 'application', plainNamespace),
    ],
    waypoints: [{ name: waypointName, namespace, host: hosts.proxy, replicas: 1 }],
  }
}

function service(name: string, app: string, labels = '{}'): string {
  return `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}, labels: ${labels}}
spec:
  selector: {app: ${app}}
  ports: [{name: http, port: ${ports.http}}, {name: http2, port: ${ports.h2}, appProtocol: kubernetes.io/h2c}]
---`
}

/** The same work for every proxy: a path prefix and a header to match, a header to set, a weight. */
export const waypointManifests = `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}, labels: {culvert.dev/dataplane-mode: ambient}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: ${namespace}}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: ${namespace}}
spec:
  action: ALLOW
  rules:
  - from: [{source: {principals: [${['client', ...peers].map((name) => `cluster.local/ns/${namespace}/sa/${name}`).join(', ')}]}}]
---${service('direct', 'application')}${service('haproxy', 'haproxy')}${service('nginx', 'nginx')}${service(
  frontendOf('culvert'),
  applicationOf('culvert'),
  `{culvert.dev/use-waypoint: ${waypointName}}`,
)}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bench, namespace: ${namespace}}
spec:
  parentRefs: [{group: '', kind: Service, name: ${frontendOf('culvert')}, port: ${ports.http}}]
  rules:
  - matches:
    - path: {type: PathPrefix, value: /never}
      headers: [{name: x-version, value: two}]
    backendRefs: [{name: ${frontendOf('culvert')}, port: ${ports.http}, weight: 1}]
  - matches: [{path: {type: PathPrefix, value: /}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-bench, value: 'yes'}]}}]
    backendRefs: [{name: ${frontendOf('culvert')}, port: ${ports.http}, weight: 1}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bench-h2, namespace: ${namespace}}
spec:
  parentRefs: [{group: '', kind: Service, name: ${frontendOf('culvert')}, port: ${ports.h2}}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-bench, value: 'yes'}]}}]
    backendRefs: [{name: ${frontendOf('culvert')}, port: ${ports.h2}, weight: 1}]
`
