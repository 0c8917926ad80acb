// What Kubernetes fills in that depends on other fields, and so stands in no table: values of a Secret given as plain text, a Pod's
// account and pull policies. normalize.ts calls it for every object that is created or changed.
import type { MeshObject } from './resource.ts'

type Values = Readonly<Record<string, unknown>>

/** The object with what follows from its own fields; the same object where nothing does. */
export function completed(object: MeshObject): MeshObject {
  if (object.kind === 'Secret') return secret(object)
  return object.kind === 'Pod' ? pod(object) : object
}

/** `stringData` is only a way to write `data`, and wins where both have a key. */
function secret(object: MeshObject): MeshObject {
  const { stringData, ...rest } = object as MeshObject & { stringData?: Readonly<Record<string, string>> }
  if (stringData === undefined) return object
  const encoded = Object.entries(stringData).map(([key, value]) => [key, Buffer.from(value).toString('base64')])
  const data = { ...(rest as unknown as Values & { data?: object }).data, ...Object.fromEntries(encoded) }
  return { ...rest, ...(encoded.length === 0 && Object.keys(data).length === 0 ? {} : { data }) }
}

function pod(object: MeshObject): MeshObject {
  const spec = (object.spec ?? {}) as Values
  const account = spec['serviceAccountName'] || spec['serviceAccount'] || 'default'
  const lists = ['containers', 'initContainers', 'ephemeralContainers'].flatMap((name) => {
    const containers = spec[name] as readonly Values[] | undefined
    return containers === undefined ? [] : [[name, containers.map((one) => container(one, spec))] as const]
  })
  const whole = { ...spec, ...Object.fromEntries(lists), serviceAccountName: account, serviceAccount: account }
  return { ...object, spec: whole, status: { phase: 'Pending', ...object.status } }
}

function container(container: Values, { hostNetwork }: Values): Values {
  const image = String(container['image'] ?? '')
  const ports = container['ports'] as readonly Values[] | undefined
  const opened =
    ports === undefined || hostNetwork !== true
      ? {}
      : { ports: ports.map((port) => ({ ...port, hostPort: port['hostPort'] || port['containerPort'] })) }
  return { ...container, ...opened, imagePullPolicy: container['imagePullPolicy'] ?? pullPolicy(image) }
}

/** `latest`, or no tag at all, may change behind its name. */
function pullPolicy(image: string): string {
  const [name = '', digest] = image.split('@')
  const tag = /:([^/]+)$/.exec(name)?.[1] ?? (digest === undefined ? 'latest' : '')
  return tag === 'latest' ? 'Always' : 'IfNotPresent'
}
