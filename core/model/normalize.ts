// Brings a valid resource into the form that is stored: explicit nulls dropped, Kubernetes' defaults filled in.
import { completed } from './completion.ts'
import { isObject } from './field-check.ts'
import { withFieldDefaults } from './field-defaults.ts'
import { kindOf, splitApiVersion } from './kinds.ts'
import type { MeshObject } from './resource.ts'

/** Without properties whose value is null: in Kubernetes they are absent. Nulls in lists stay. */
export function withoutNulls<Value>(value: Value): Value {
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item)) as Value
  if (!isObject(value)) return value
  const present = Object.entries(value).filter(([, entry]) => entry !== null && entry !== undefined)
  return Object.fromEntries(present.map(([key, entry]) => [key, withoutNulls(entry)])) as Value
}

/** Fills in what Kubernetes fills in at creation. Virtual IPs are allocated elsewhere. */
export function withDefaults(input: MeshObject): MeshObject {
  const object = completed(input)
  if (object.kind === 'Service') return { ...object, spec: serviceDefaults(object.spec ?? {}) }
  if (object.kind === 'Namespace') return namespaceDefaults(object)
  const kind = kindOf(object.apiVersion, object.kind)
  if (kind === undefined) return object
  const { version } = splitApiVersion(object.apiVersion)
  const table = kind.status === undefined ? kind.body : { ...kind.body, status: kind.status }
  return withFieldDefaults(object as unknown as Fields, table, version) as unknown as MeshObject
}

type Fields = Readonly<Record<string, unknown>>

function namespaceDefaults(object: MeshObject): MeshObject {
  const labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name }
  const spec = { finalizers: ['kubernetes'], ...object.spec }
  return { ...object, metadata: { ...object.metadata, labels }, spec, status: { ...object.status, phase: 'Active' } }
}

function serviceDefaults(spec: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const headed = { type: 'ClusterIP', sessionAffinity: 'None', ...spec }
  const ports = spec['ports']
  const filled = Array.isArray(ports) ? { ports: ports.map(portDefaults) } : {}
  if (headed.type === 'ExternalName') return { ...headed, ...filled }
  return { internalTrafficPolicy: 'Cluster', ...headed, ...filled }
}

function portDefaults(port: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return { ...port, protocol: port['protocol'] ?? 'TCP', targetPort: port['targetPort'] ?? port['port'] }
}
