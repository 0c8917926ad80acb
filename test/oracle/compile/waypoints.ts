// Waypoints: Gateways that are Services, workloads that are their instances, and who stands behind which. Written plainly, for the
// whole set of objects at once.
import type { CompileSettings } from '../../../control/compile/settings.ts'
import { labelsMatch } from '../../../core/model/label-selector.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import type { Service, Workload } from '../../../core/model/types.ts'
import { waypointChoice, waypointSafety, waypointTraffic } from '../../../core/model/waypoint-labels.ts'
import { type Finding, type Findings, nameOf, notAccepted } from './conditions.ts'

interface Listener {
  readonly name: string
  readonly port: number
  readonly protocol: string
  readonly allowedRoutes?: { readonly namespaces?: { readonly from?: string; readonly selector?: object } }
}

interface Declared {
  readonly object: MeshObject
  readonly service?: Service
  readonly listener?: Listener
  readonly why: string
}

type Labels = Readonly<Record<string, string>>

export class Waypoints {
  readonly #settings: CompileSettings
  readonly #findings: Findings
  readonly #namespaces: ReadonlyMap<string, MeshObject>
  readonly #classes: ReadonlyMap<string, string>
  readonly #declared = new Map<string, Declared>()

  constructor(of: (kind: string) => readonly MeshObject[], settings: CompileSettings, findings: Findings) {
    this.#settings = settings
    this.#findings = findings
    this.#namespaces = new Map(of('Namespace').map((object) => [object.metadata.name, object]))
    this.#classes = new Map(
      of('GatewayClass').map(({ metadata, spec }) => [metadata.name, String(spec?.['controllerName'])]),
    )
    for (const object of of('Gateway')) this.#declared.set(nameOf(object), this.#declare(object))
  }

  get services(): readonly Service[] {
    return [...this.#declared.values()].flatMap(({ service }) => service ?? [])
  }

  isTaken(object: MeshObject): boolean {
    return this.#declared.get(nameOf(object))?.service !== undefined
  }

  describeNamespaces(): void {
    for (const [name, object] of this.#namespaces) {
      const bound = this.#choose(object.metadata.labels ?? {}, undefined, name, 'any')
      if (bound?.problem !== undefined) this.#findings.add(object, bound.problem)
    }
  }

  of(object: MeshObject, labels: Labels, traffic: 'service' | 'workload'): string | undefined {
    const namespace = object.metadata.namespace ?? ''
    const above = this.#namespaces.get(namespace)?.metadata.labels ?? {}
    const bound = this.#choose(labels, above, namespace, traffic)
    if (bound?.own === true && bound.problem !== undefined) this.#findings.add(object, bound.problem)
    return bound?.waypoint
  }

  /** The Service of which a workload is an instance. */
  instanceOf(object: MeshObject, labels: Labels, serviceAccount: string): Service | undefined {
    const namespace = object.metadata.namespace ?? ''
    const label = labels['gateway.networking.k8s.io/gateway-name']
    const labelled = label === undefined ? undefined : this.#declared.get(`${namespace}/${label}`)?.service
    if (label === serviceAccount) return labelled
    const say = (reason: string, message: string): void =>
      this.#findings.add(object, { type: 'WaypointInstance', status: 'False', reason, message })
    if (labelled !== undefined) {
      const name = 'gateway.networking.k8s.io/gateway-name'
      const message = `${name}: ${label} makes it an instance only with the service account ${label}, and it has ${serviceAccount}`
      say('ServiceAccountMismatch', message)
    }
    if (this.#declared.get(`${namespace}/${serviceAccount}`)?.service !== undefined) {
      const message = `it has the identity of the waypoint ${namespace}/${serviceAccount} without being one: destinations do not take it for one, so what passes its waypoint must pass it too; give it another service account`
      say('IdentityOfWaypoint', message)
    }
    return undefined
  }

  #declare(object: MeshObject): Declared {
    const spec = object.spec as { gatewayClassName: string; listeners: readonly Listener[] }
    const name = spec.gatewayClassName
    const own = name === 'culvert-waypoint' || (name === 'istio-waypoint' && this.#settings.istioLabels)
    const controller = own ? 'culvert.dev/waypoint' : this.#classes.get(name)
    const refuse = (finding: Finding): Declared => {
      this.#findings.add(object, finding)
      return { object, why: finding.message }
    }
    if (object.metadata.name === 'default') {
      const message = `the waypoint's identity is the service account that has its name, and "default" is that of every workload without one of its own: give the Gateway another name`
      return refuse(notAccepted('InvalidParameters', message))
    }
    if (controller === undefined) {
      const message = `there is no GatewayClass ${name}: write culvert-waypoint for a waypoint`
      return refuse(notAccepted('InvalidParameters', message))
    }
    if (controller !== 'culvert.dev/waypoint') {
      return refuse(notAccepted('OtherController', `the class ${name} is of the controller ${controller}`))
    }
    const listener = spec.listeners.find(({ port, protocol }) => port === 15008 && protocol === 'HBONE')
    const wrong = spec.listeners.flatMap(({ name, port, protocol }) => {
      if (protocol !== 'HBONE') {
        return [`${name}: protocol ${protocol}: a waypoint takes HBONE on port 15008, whatever the applications speak`]
      }
      return port === 15008 ? [] : [`${name}: port ${port}: a waypoint listens on 15008`]
    })
    if (wrong.length > 0) {
      const message = `listeners that a waypoint does not have: ${wrong.join('; ')}`
      const status = listener === undefined ? 'False' : 'True'
      const refused = refuse({ type: 'Accepted', status, reason: 'ListenersNotValid', message })
      if (listener === undefined) return refused
    }
    return { object, service: this.#serviceOf(object), why: '', ...(listener === undefined ? {} : { listener }) }
  }

  #serviceOf({ metadata: { namespace = '', name, labels = {}, annotations = {} } }: MeshObject): Service {
    return {
      namespace,
      name,
      hostname: `${name}.${namespace}.${this.#settings.mesh.serviceDomain}`,
      vips: [],
      headless: true,
      ports: [{ name: 'hbone', port: 15008, protocol: 'TCP' }],
      identities: [],
      gateway: { takes: waypointTraffic(labels, this.#settings.istioLabels), ...waypointSafety(annotations) },
      loadBalancing: 'random',
    }
  }

  #choose(labels: Labels, above: Labels | undefined, namespace: string, traffic: 'service' | 'workload' | 'any') {
    const own = waypointChoice(labels, this.#settings.istioLabels)
    const choice = own ?? (above === undefined ? undefined : waypointChoice(above, this.#settings.istioLabels))
    if (choice === undefined || choice === 'none') return undefined
    const place = choice.namespace ?? namespace
    const { waypoint, reason, message } = this.#bind(`${place}/${choice.name}`, namespace, traffic)
    const told = `${choice.label}: ${message}`
    const problem: Finding | undefined =
      reason === undefined ? undefined : { type: 'WaypointBound', status: 'False', reason, message: told }
    return { own: own !== undefined, waypoint, problem }
  }

  #bind(
    place: string,
    from: string,
    traffic: 'service' | 'workload' | 'any',
  ): { readonly waypoint?: string; readonly reason?: string; readonly message?: string } {
    const [namespace = '', name = ''] = place.split('/')
    const waypoint = `${namespace}/${name}.${namespace}.${this.#settings.mesh.serviceDomain}`
    const refused = 'until then what should pass it is refused'
    const declared = this.#declared.get(place)
    if (declared === undefined) {
      return { waypoint, reason: 'WaypointMissing', message: `there is no Gateway ${place}: ${refused}` }
    }
    const takes = declared.service?.gateway?.takes
    if (takes === undefined) {
      const message = `the Gateway ${place} is no waypoint (${declared.why}): ${refused}`
      return { waypoint, reason: 'NotAWaypoint', message }
    }
    if (traffic === 'any' ? takes === 'none' : takes !== 'all' && takes !== traffic) {
      const what = takes === 'none' ? 'no traffic' : `${takes} traffic only`
      const passing = traffic === 'any' ? 'service' : traffic
      const message = `the waypoint ${place} takes ${what}, so ${passing} traffic does not pass it (label istio.io/waypoint-for of its Gateway)`
      return { reason: 'UnsupportedTrafficType', message }
    }
    if (this.#allows(declared.listener, namespace, from)) return { waypoint }
    const message = `the Gateway ${place} does not allow the namespace ${from} (allowedRoutes.namespaces of its listener): ${refused}`
    return { waypoint: `${namespace}/not-allowed:${name}`, reason: 'AttachmentDenied', message }
  }

  #allows(listener: Listener | undefined, own: string, other: string): boolean {
    const { from = 'Same', selector = {} } = listener?.allowedRoutes?.namespaces ?? {}
    if (from !== 'Selector') return from === 'All' || own === other
    const labels = { ...this.#namespaces.get(other)?.metadata.labels, 'kubernetes.io/metadata.name': other }
    return labelsMatch(selector, labels)
  }
}

/** An instance of a waypoint: it stands behind nothing else, and nobody captures it. Reported as closed it gets nothing. */
export function asInstance(object: MeshObject, workload: Workload, { namespace, hostname }: Service): Workload {
  const services = [{ service: `${namespace}/${hostname}`, ports: { '15008': 15008 } }]
  const { annotations = {} } = object.metadata
  const closed =
    annotations['culvert.dev/workload-uid'] !== undefined && annotations['culvert.dev/redirection'] !== 'enabled'
  return { ...workload, services, enrolled: false, protocol: 'HBONE', ...(closed ? { health: 'unhealthy' } : {}) }
}
