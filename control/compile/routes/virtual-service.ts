// VirtualService at waypoints: which frontends it speaks for, and its HTTP rules for one of them, with delegates in their place.
import type { VirtualServiceSpec } from '../../../core/model/fields/virtual-service.ts'
import { virtualServiceKind } from '../../../core/model/kinds/istio.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import type {
  Backend,
  Mirror,
  RequestMatch,
  Route,
  RouteAction,
  WeightedDestination,
} from '../../../core/model/routes.ts'
import { accepted, nameOf, notAccepted } from '../conditions.ts'
import type { Rule, Scope } from '../rule.ts'
import { topic } from '../topics.ts'
import { claimsOn, verdictsOn } from './claims.ts'
import { virtualConnections } from './connections.ts'
import { noWaypoint, type Tell, tellOnce, unresolved } from './findings.ts'
import type { Claim } from './groups.ts'
import { type RoutedService, RoutedServices } from './services.ts'
import { subsetLabels } from './subsets.ts'
import {
  answerOf,
  corsOf,
  faultOf,
  headersOf,
  limit,
  redirectOf,
  retriesOf,
  rewriteOf,
} from './virtual-service-actions.ts'
import { type VirtualRule, virtualMatches, within } from './virtual-service-match.ts'

type WrittenDestination = NonNullable<VirtualRule['mirror']>

interface VirtualContext {
  readonly scope: Scope
  readonly services: RoutedServices
}

/** By `namespace/name`: a VirtualService without hosts. */
const delegates = topic<Pick<MeshObject, 'metadata' | 'spec'>>('virtual-service-delegate')

export const delegateOffer: Rule = {
  kind: virtualServiceKind,
  run({ metadata: { name, namespace = '' }, spec }, scope) {
    if (((spec as VirtualServiceSpec | undefined)?.hosts ?? []).length > 0) return
    // nothing else of it matters to those that delegate to it
    scope.offer(delegates(`${namespace}/${name}`), { metadata: { name, namespace }, ...(spec && { spec }) })
  },
}

export const virtualClaimRule: Rule = {
  kind: virtualServiceKind,
  run(object, scope) {
    const { namespace = '' } = object.metadata
    const { hosts = [], gateways = [], exportTo = [] } = (object.spec ?? {}) as VirtualServiceSpec
    if (gateways.length > 0 && !gateways.includes('mesh')) return
    const tell = tellOnce(scope)
    const context: VirtualContext = { scope, services: new RoutedServices(scope) }
    const audiences = audiencesOf(exportTo, namespace)
    /** By key of the Service; the more specific host counts. */
    const frontends = new Map<string, { readonly service: RoutedService; readonly specificity: number }>()
    for (const host of hosts) {
      const found = context.services.atHosts(host, namespace)
      if (found.length === 0)
        tell(
          unresolved(
            'HostNotFound',
            `hosts: ${host} stands for no Service of the mesh (those of ServiceEntries are not routed)`,
          ),
        )
      const specificity = host.startsWith('*') ? host.length : 1000
      for (const service of found) {
        if ((frontends.get(service.key)?.specificity ?? 0) < specificity) {
          frontends.set(service.key, { service, specificity })
        }
      }
    }
    for (const { service, specificity } of frontends.values()) {
      for (const { port } of service.ports) {
        const rules = rulesFor(object, port, context, tell)
        const claim = { kind: 'VirtualService', specificity, ...rules, parents: [] } as const
        const claims = audiences.map((audience): Claim => (audience === undefined ? claim : { ...claim, audience }))
        if (claims.length > 0) scope.offer(claimsOn(service.key, String(port)), claims)
      }
    }
  },
}

/** Not accepted where every frontend went to others. */
export const virtualVerdictRule: Rule = {
  kind: virtualServiceKind,
  run(_, scope) {
    const verdicts = scope.read(verdictsOn(scope.key)).map(({ value }) => value)
    const ports = verdicts.flatMap(({ service, ports }) => ports.map((port) => ({ service, ...port })))
    if (ports.length === 0) return
    const losses = ports.flatMap(({ service, port, lostTo }) =>
      lostTo === undefined ? [] : [`${service}:${port} is routed by ${lostTo}, which comes first`],
    )
    const message = [...new Set(losses)].join('; ')
    const holds = losses.length < ports.length
    scope.tell(holds ? { ...accepted, message } : notAccepted('Conflicted', message))
    const bare = verdicts.filter(({ hasWaypoint }) => !hasWaypoint).map(({ service }) => `Service ${service}`)
    if (holds && bare.length > 0) scope.tell(noWaypoint(bare))
  },
}

/** A VirtualService that says nothing of requests leaves them to the Service. */
function rulesFor(object: MeshObject, port: number, context: VirtualContext, tell: Tell) {
  const { namespace = '' } = object.metadata
  const connections = virtualConnections(object, backendFrom(namespace, port, context, tell))
  const routes = virtualRoutes(object, port, context, tell)
  return connections === undefined ? { routes } : { routes, connections }
}

/** Undefined: everyone. */
function audiencesOf(exportTo: readonly string[], namespace: string): readonly (string | undefined)[] {
  if (exportTo.length === 0 || exportTo.includes('*')) return [undefined]
  const names = exportTo.filter((entry) => entry !== '~').map((entry) => (entry === '.' ? namespace : entry))
  return [...new Set(names)]
}

/** A rule with the object that it stands in. */
interface Place {
  readonly object: MeshObject
  readonly rule: VirtualRule
  readonly index: number
  readonly matches: readonly RequestMatch[]
}

function virtualRoutes(object: MeshObject, port: number, context: VirtualContext, tell: Tell): readonly Route[] {
  return placesOf(object, context, tell).map((place) => routeOf(place, port, context, tell))
}

function placesOf(object: MeshObject, context: VirtualContext, tell: Tell): readonly Place[] {
  const { namespace = '' } = object.metadata
  const { http = [] } = (object.spec ?? {}) as VirtualServiceSpec
  return http.flatMap((rule, index) => {
    const matches = virtualMatches(rule, `http[${index}]`, tell)
    if (matches === undefined) return []
    if (rule.delegate === undefined) return [{ object, rule, index, matches }]
    const { name = '', namespace: other = '' } = rule.delegate
    const key = `${other === '' ? namespace : other}/${name}`
    const delegate = context.scope.read(delegates(key))[0]?.value as MeshObject | undefined
    if (delegate !== undefined) return delegated(rule, matches, delegate, tell)
    tell(unresolved('DelegateNotFound', `http[${index}].delegate: there is no VirtualService ${key} without hosts`))
    // what would have gone to the delegate must not fall through to a later rule
    return [{ object, rule, index, matches }]
  })
}

/** Rules of a delegate; what they leave open is the root's. */
function delegated(
  root: VirtualRule,
  matches: readonly RequestMatch[],
  object: MeshObject,
  tell: Tell,
): readonly Place[] {
  const { http = [] } = (object.spec ?? {}) as VirtualServiceSpec
  return http.flatMap((rule, index) => {
    const where = `delegate ${nameOf(object)} http[${index}]`
    const own = virtualMatches(rule, where, tell)
    const both = own === undefined ? undefined : within(matches, own)
    if (own !== undefined && both === undefined) {
      tell(unresolved('DelegateConflict', `${where}: none of its matches is within those that lead to it`))
    }
    if (both === undefined) return []
    const { match: _, delegate: __, route: ___, ...inherited } = root
    return [{ object, rule: { ...inherited, ...rule }, index, matches: both }]
  })
}

function routeOf(place: Place, port: number, context: VirtualContext, tell: Tell): Route {
  const { object, rule, index, matches } = place
  const { namespace = '', name } = object.metadata
  const where = `http[${index}]`
  const { host, ...headers } = headersOf(rule.headers, where, tell)
  const rewrite = rewriteOf(rule.rewrite, host, where, tell)
  const backend = backendFrom(namespace, port, context, tell)
  const mirrors = mirrorsOf(rule, where, backend)
  const [timeoutMs, tryTimeoutMs] = [limit(rule.timeout), limit(rule.retries?.perTryTimeout)]
  const broken: RouteAction = { kind: 'respond', status: 503, reason: `${where}: the rewrite cannot be used` }
  return {
    origin: { kind: 'VirtualService', namespace, name, index, ...(rule.name === undefined ? {} : { rule: rule.name }) },
    matches,
    action: rewrite === 'broken' ? broken : actionOf(rule, where, backend, tell),
    filters: {
      ...headers,
      ...(rewrite === undefined || rewrite === 'broken' ? {} : { rewrite }),
      ...(mirrors.length === 0 ? {} : { mirrors }),
      ...(rule.corsPolicy === undefined ? {} : { cors: corsOf(rule.corsPolicy) }),
      ...(rule.fault === undefined ? {} : { fault: faultOf(rule.fault) }),
    },
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(tryTimeoutMs === undefined ? {} : { tryTimeoutMs }),
    retry: retriesOf(rule.retries),
  }
}

type BackendOf = (destination: WrittenDestination, where: string) => Backend

function actionOf(rule: VirtualRule, where: string, backend: BackendOf, tell: Tell): RouteAction {
  if (rule.redirect !== undefined) return { kind: 'redirect', redirect: redirectOf(rule.redirect) }
  if (rule.directResponse !== undefined) return answerOf(rule.directResponse)
  const route = rule.route ?? []
  if (route.length === 0) {
    const reason = rule.delegate === undefined ? `${where} leads nowhere` : `${where}: its delegate is not there`
    return { kind: 'respond', status: 503, reason }
  }
  const destinations = route.flatMap((entry, index): readonly WeightedDestination[] => {
    const weight = route.length === 1 ? 1 : (entry.weight ?? 0)
    if (weight === 0) return []
    const place = `${where}.route[${index}]`
    const { host, ...headers } = headersOf(entry.headers, place, tell)
    const filters = { ...headers, ...(host === undefined ? {} : { rewrite: { host } }) }
    return [{ weight, backend: backend(entry.destination, place), filters }]
  })
  return { kind: 'forward', destinations }
}

function mirrorsOf(rule: VirtualRule, where: string, backend: BackendOf): readonly Mirror[] {
  const older = rule.mirrorPercentage?.value ?? rule.mirrorPercent ?? rule.mirror_percent
  const single = rule.mirrorPercentage === undefined ? (older ?? 100) : (rule.mirrorPercentage.value ?? 0)
  const all = [
    ...(rule.mirror === undefined ? [] : [{ destination: rule.mirror, percent: single }]),
    ...(rule.mirrors ?? []).map(({ destination, percentage }) => ({
      destination,
      percent: percentage === undefined ? 100 : (percentage.value ?? 0),
    })),
  ]
  return all
    .filter(({ percent }) => percent > 0)
    .map(({ destination, percent }) => ({
      backend: backend(destination, `${where}.mirror`),
      share: percent / 100,
      shadowHost: true,
    }))
}

/** An unknown destination is answered with 503, as istiod has it. */
function backendFrom(namespace: string, frontendPort: number, context: VirtualContext, tell: Tell): BackendOf {
  return ({ host, subset = '', port }, where) => {
    const invalid = (reason: string, text: string): Backend => {
      const message = `${where}: ${text}`
      tell(unresolved(reason, message))
      return { kind: 'invalid', status: 503, reason, message }
    }
    const service = context.services.atHost(host, namespace)
    if (service === undefined) return invalid('BackendNotFound', `${host} is no Service of the mesh`)
    const [only, ...others] = service.ports
    const number = port?.number ?? (others.length === 0 ? only?.port : frontendPort)
    if (number === undefined || !service.ports.some((each) => each.port === number)) {
      return invalid('BackendNotFound', `Service ${service.namespace}/${service.name} has no port ${number ?? ''}`)
    }
    const found = { kind: 'service', service: service.key, hostname: service.hostname, port: number } as const
    if (subset === '') return found
    const labels = subsetLabels(service, subset, namespace, context.scope)
    if (labels === undefined)
      return invalid('SubsetNotFound', `no DestinationRule for ${host} names the subset ${subset}`)
    return { ...found, subset: { name: subset, labels } }
  }
}
