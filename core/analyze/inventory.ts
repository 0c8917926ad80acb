// Everything that rules look things up in: services by host, workloads by namespace, subsets, gateways. Kept object by object, so
// that the API can ask about one write without reading the mesh.
import { splitApiVersion } from '../model/kinds.ts'
import { formatObjectKey, type MeshObject } from '../model/resource.ts'
import { objectKeyOf } from '../model/validate-set.ts'
import { fields, type Labels, labelsOf, list, namespaceOf, number, selects, specOf, text, texts } from './values.ts'

export interface InventorySettings {
  readonly trustDomain: string
  readonly rootNamespaces: readonly string[]
  /** `svc.cluster.local`. */
  readonly serviceDomain: string
  /** The whole mesh is in view: what is missing does not exist. Files only tell of the kinds that they hold. */
  readonly complete: boolean
}

export interface KnownWorkload {
  readonly object: MeshObject
  readonly namespace: string
  readonly name: string
  readonly labels: Labels
  readonly serviceAccount: string
  /** Named ports. */
  readonly ports: Readonly<Record<string, number>>
}

export interface KnownPort {
  readonly name: string
  readonly number: number
}

/** A Service or one host of a ServiceEntry. */
export interface KnownHost {
  readonly object: MeshObject
  readonly host: string
  readonly ports: readonly KnownPort[]
  /** Labels of the workloads behind it; undefined where nothing says. */
  readonly selector: Labels | undefined
}

export class Inventory {
  readonly settings: InventorySettings
  readonly #objects = new Map<string, MeshObject>()
  /** Kind (with group) → namespace → objects by key. */
  readonly #byKind = new Map<string, Map<string, Map<string, MeshObject>>>()
  readonly #hosts = new Map<string, Map<string, KnownHost>>()

  constructor(settings: InventorySettings) {
    this.settings = settings
  }

  set(object: MeshObject): void {
    const key = formatObjectKey(objectKeyOf(object))
    this.delete(object)
    this.#objects.set(key, object)
    const places = entryOf(this.#byKind, kindText(object), () => new Map<string, Map<string, MeshObject>>())
    entryOf(places, namespaceOf(object), () => new Map<string, MeshObject>()).set(key, object)
    for (const host of this.#hostsOf(object)) {
      entryOf(this.#hosts, host.host, () => new Map<string, KnownHost>()).set(key, host)
    }
  }

  delete(object: MeshObject): void {
    const key = formatObjectKey(objectKeyOf(object))
    const old = this.#objects.get(key)
    if (old === undefined) return
    this.#objects.delete(key)
    this.#byKind.get(kindText(old))?.get(namespaceOf(old))?.delete(key)
    for (const { host } of this.#hostsOf(old)) {
      const owners = this.#hosts.get(host)
      owners?.delete(key)
      if (owners?.size === 0) this.#hosts.delete(host)
    }
  }

  /** Objects of a kind, of one namespace or of all. */
  objects(kind: string, group: string, namespace?: string): readonly MeshObject[] {
    const places = this.#byKind.get(`${kind}.${group}`)
    if (places === undefined) return []
    if (namespace !== undefined) return [...(places.get(namespace)?.values() ?? [])]
    return [...places.values()].flatMap((place) => [...place.values()])
  }

  find(kind: string, group: string, namespace: string, name: string): MeshObject | undefined {
    return this.#objects.get(formatObjectKey({ kind, group, namespace, name }))
  }

  /** Whether a missing object of the kind can be told: all is in view, or the files hold others of its kind there. */
  knows(kind: string, group: string, namespace: string): boolean {
    return this.settings.complete || (this.#byKind.get(`${kind}.${group}`)?.get(namespace)?.size ?? 0) > 0
  }

  /** The same of hosts: those of a namespace are known once the files have a Service or a ServiceEntry in it. */
  knowsHosts(namespace: string): boolean {
    return this.knows('Service', '', namespace) || this.knows('ServiceEntry', istioNetworking, namespace)
  }

  knowsWorkloads(namespace: string): boolean {
    return this.settings.complete || workloadKinds.some(({ kind, group }) => this.knows(kind, group, namespace))
  }

  namespaces(): readonly string[] {
    return this.objects('Namespace', '').map(({ metadata }) => metadata.name)
  }

  host(name: string): KnownHost | undefined {
    const exact = this.#hosts.get(name.toLowerCase())
    if (exact !== undefined) return exact.values().next().value
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const wildcard = this.#hosts.get(`*${name.slice(dot).toLowerCase()}`)
      if (wildcard !== undefined) return wildcard.values().next().value
    }
    return undefined
  }

  hostNames(): readonly string[] {
    return [...this.#hosts.keys()]
  }

  /** Everybody who claims the host. */
  hostOwners(name: string): readonly KnownHost[] {
    return [...(this.#hosts.get(name)?.values() ?? [])]
  }

  /** `orders` of a rule in `shop` is `orders.shop.svc.cluster.local`; whatever has a dot is complete (Istio's rule). */
  qualify(host: string, namespace: string): string {
    return host.includes('.') || host.includes('*') ? host : `${host}.${namespace}.${this.settings.serviceDomain}`
  }

  /** The namespace of a service's complete name; undefined for other hosts. */
  serviceOf(host: string): { readonly name: string; readonly namespace: string } | undefined {
    const suffix = `.${this.settings.serviceDomain}`
    if (!host.endsWith(suffix)) return undefined
    const [name = '', namespace = '', ...rest] = host.slice(0, -suffix.length).split('.')
    return namespace === '' || rest.length > 0 ? undefined : { name, namespace }
  }

  /** Workloads of a namespace, or of all. */
  workloads(namespace?: string): readonly KnownWorkload[] {
    return workloadKinds.flatMap(({ kind, group, read }) => this.objects(kind, group, namespace).map(read))
  }

  /** The workloads of a namespace with these labels. */
  selected(namespace: string | undefined, selector: Labels): readonly KnownWorkload[] {
    return this.workloads(namespace).filter(({ labels }) => selects(selector, labels))
  }

  isRoot(namespace: string): boolean {
    return this.settings.rootNamespaces.includes(namespace)
  }

  #hostsOf(object: MeshObject): readonly KnownHost[] {
    const spec = specOf(object)
    if (object.kind === 'Service') {
      const host = `${object.metadata.name}.${namespaceOf(object)}.${this.settings.serviceDomain}`
      const selector = labelsOf(spec['selector'])
      const known = Object.keys(selector).length > 0
      return [{ object, host, ports: portsOf(spec['ports'], 'port'), selector: known ? selector : undefined }]
    }
    if (object.kind !== 'ServiceEntry') return []
    const labels = labelsOf(fields(spec['workloadSelector'])['labels'])
    const selector = Object.keys(labels).length > 0 ? labels : undefined
    return texts(spec['hosts']).map((host) => ({
      object,
      host: host.toLowerCase(),
      ports: portsOf(spec['ports'], 'number'),
      selector,
    }))
  }
}

export const istioNetworking = 'networking.istio.io'
export const gatewayGroup = 'gateway.networking.k8s.io'

function kindText(object: MeshObject): string {
  return `${object.kind}.${splitApiVersion(object.apiVersion).group}`
}

function entryOf<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

function portsOf(value: unknown, numberField: string): readonly KnownPort[] {
  return list(value).map((port) => {
    const entry = fields(port)
    return { name: text(entry['name']) ?? '', number: number(entry[numberField]) ?? 0 }
  })
}

interface WorkloadKind {
  readonly kind: string
  readonly group: string
  readonly read: (object: MeshObject) => KnownWorkload
}

const workloadKinds: readonly WorkloadKind[] = [
  {
    kind: 'WorkloadEntry',
    group: istioNetworking,
    read: (object) => {
      const spec = specOf(object)
      const labels = { ...object.metadata.labels, ...labelsOf(spec['labels']) }
      return workload(object, labels, spec['serviceAccount'], fields(spec['ports']) as Readonly<Record<string, number>>)
    },
  },
  {
    kind: 'WorkloadGroup',
    group: istioNetworking,
    read: (object) => {
      const { metadata, template } = specOf(object)
      const labels = { ...labelsOf(fields(template)['labels']), ...labelsOf(fields(metadata)['labels']) }
      const ports = fields(fields(template)['ports']) as Readonly<Record<string, number>>
      return workload(object, labels, fields(template)['serviceAccount'], ports)
    },
  },
  {
    kind: 'Pod',
    group: '',
    read: (object) => {
      const spec = specOf(object)
      const ports = list(spec['containers']).flatMap((container) => list(fields(container)['ports']))
      const named = ports.flatMap((port) => {
        const { name, containerPort } = fields(port)
        return typeof name === 'string' && typeof containerPort === 'number' ? [[name, containerPort] as const] : []
      })
      return workload(object, object.metadata.labels ?? {}, spec['serviceAccountName'], Object.fromEntries(named))
    },
  },
]

function workload(
  object: MeshObject,
  labels: Labels,
  serviceAccount: unknown,
  ports: Readonly<Record<string, number>>,
): KnownWorkload {
  const { name } = object.metadata
  const account = text(serviceAccount) ?? 'default'
  return { object, namespace: namespaceOf(object), name, labels, serviceAccount: account, ports }
}
