// The mesh that the cases run in: two versions of an echo service behind one name, a third instance for cases of gateways, clients
// in two namespaces, a waypoint. Names differ from upstream's; the shape is that of its conformance/mesh/manifests.yaml.

export const meshNamespace = 'conformance'
export const consumerNamespace = 'conformance-consumer'
export const waypoint = 'waypoint'

/** Instances behind each Service. */
export const instances: Readonly<Record<string, readonly string[]>> = {
  echo: ['echo-v1', 'echo-v2'],
  'echo-v1': ['echo-v1'],
  'echo-v2': ['echo-v2'],
  'backend-v1': ['echo-v1'],
  'backend-v2': ['echo-v2'],
  'backend-v3': ['third'],
  deaf: ['third'],
}

export const topology = `
hosts: [h1, h2, h3]
workloads:
- {name: client, namespace: ${meshNamespace}, serviceAccount: client, host: h1, labels: {app: client}}
- {name: client, namespace: ${consumerNamespace}, serviceAccount: client, host: h1, labels: {app: client}}
- {name: echo-v1, namespace: ${meshNamespace}, serviceAccount: echo, host: h2, labels: {app: echo, version: v1}, echo: {}}
- {name: echo-v2, namespace: ${meshNamespace}, serviceAccount: echo, host: h3, labels: {app: echo, version: v2}, echo: {}}
- {name: third, namespace: ${meshNamespace}, serviceAccount: echo, host: h3, labels: {app: third, version: v3}, echo: {}}
waypoints:
- {name: ${waypoint}, namespace: ${meshNamespace}, host: h2}
`

/** Port 8090 says that it takes HTTP/2 only, 8091 that it takes WebSockets (GEP-1911); nobody listens behind 8099. */
const ports = [
  '{name: http, port: 80, targetPort: 8080}',
  '{name: http-alt, port: 8080}',
  '{name: https, port: 443, targetPort: 8443}',
  '{name: tcp, port: 9090}',
  '{name: grpc, port: 7070, appProtocol: kubernetes.io/h2c}',
  '{name: h2c, port: 8090, targetPort: 8080, appProtocol: kubernetes.io/h2c}',
  '{name: ws, port: 8091, targetPort: 8080, appProtocol: kubernetes.io/ws}',
].join(', ')

function service(name: string, selector: string, written = ports): string {
  return `apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${meshNamespace}}
spec: {selector: {${selector}}, ports: [${written}]}`
}

const namespace = (name: string, labels: string): string => `apiVersion: v1
kind: Namespace
metadata: {name: ${name}, labels: {culvert.dev/dataplane-mode: ambient${labels}}}`

/** Without the waypoint: what model.ts needs too. */
export const services = [
  service('echo', 'app: echo'),
  service('echo-v1', 'app: echo, version: v1'),
  service('echo-v2', 'app: echo, version: v2'),
  service('backend-v1', 'version: v1'),
  service('backend-v2', 'version: v2'),
  service('backend-v3', 'version: v3'),
  service('deaf', 'version: v3', '{name: http, port: 8080, targetPort: 8099}'),
].join('\n---\n')

const gateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ${waypoint}, namespace: ${meshNamespace}, labels: {istio.io/waypoint-for: all}}
spec:
  gatewayClassName: culvert-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]`

export const manifests = [
  namespace(consumerNamespace, ''),
  namespace(meshNamespace, `, culvert.dev/use-waypoint: ${waypoint}`),
  gateway,
  services,
].join('\n---\n')
