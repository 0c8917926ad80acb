// VirtualService: do its hosts, subsets and ports exist, can every rule be reached, do the weights mean what they say.
import type { Path } from '../../model/fields/field.ts'
import type { MeshObject } from '../../model/resource.ts'
import { istioNetworking } from '../inventory.ts'
import type { Rule, RuleContext } from '../rule.ts'
import {
  durationMs,
  type Fields,
  fields,
  items,
  labelsOf,
  list,
  namespaceOf,
  number,
  specOf,
  text,
  texts,
} from '../values.ts'
import { checkDestination, checkHost, checkSelector } from './references.ts'
import { hostsBehindWaypoint } from './routed-services.ts'

/** A delegate has no hosts; every other needs one that somebody can call. */
const hosts: Rule = (context) => {
  const spec = specOf(context.object)
  for (const [index, host] of texts(spec['hosts']).entries()) {
    if (!host.includes('*')) checkHost(context, host, ['spec', 'hosts', index])
  }
}

const gateways: Rule = ({ object, report }) => {
  for (const [index, name] of texts(specOf(object)['gateways']).entries()) {
    if (name === 'mesh') continue
    report(
      'GatewayNotFound',
      ['spec', 'gateways', index],
      `"${name}" is a gateway of networking.istio.io, which is not served: the rules do not apply to its traffic`,
      'leave gateways out (or name mesh), and use a Gateway and an HTTPRoute of gateway.networking.k8s.io for traffic from outside',
    )
  }
}

const destinations: Rule = (context) => {
  for (const { route, at } of routesOf(context.object)) {
    const split = items(route['route'], [...at, 'route'])
    for (const { value, at } of split) checkDestination(context, value['destination'], [...at, 'destination'])
    checkWeights(context, split, [...at, 'route'])
    if (route['mirror'] !== undefined) checkDestination(context, route['mirror'], [...at, 'mirror'])
    for (const { value, at: mirrorAt } of items(route['mirrors'], [...at, 'mirrors'])) {
      checkDestination(context, value['destination'], [...mirrorAt, 'destination'])
    }
    checkDelegate(context, fields(route['delegate']), [...at, 'delegate'])
  }
}

/** Rules for callers with certain labels, of which there may be none. */
const callers: Rule = (context) => {
  for (const { route, at } of routesOf(context.object)) {
    for (const { value, at: matchAt } of items(route['match'], [...at, 'match'])) {
      const namespace = text(value['sourceNamespace'])
      // without a namespace callers of all of them are meant, which files seldom hold
      if (namespace === undefined && !context.inventory.settings.complete) continue
      checkSelector(context, namespace, labelsOf(value['sourceLabels']), [...matchAt, 'sourceLabels'])
    }
  }
}

/** Methods are upper-case, and a path begins with a slash: a match that says otherwise takes no request. */
const requests: Rule = ({ object, report }) => {
  for (const { value: route, at } of items(specOf(object)['http'], ['spec', 'http'])) {
    for (const { value, at: matchAt } of items(route['match'], [...at, 'match'])) {
      const method = text(fields(value['method'])['exact'])
      if (method !== undefined && /[a-z]/.test(method)) {
        const message = `"${method}" matches no request: methods are upper-case`
        report('PathNeverMatches', [...matchAt, 'method', 'exact'], message, `write "${method.toUpperCase()}"`)
      }
      for (const how of ['exact', 'prefix']) {
        const path = text(fields(value['uri'])[how])
        if (path === undefined || /^[/*]/.test(path) || path === '') continue
        const message = `"${path}" matches no request: a path begins with /`
        report('PathNeverMatches', [...matchAt, 'uri', how], message, `write "/${path}"`)
      }
    }
  }
}

function checkWeights({ report }: RuleContext, split: readonly { readonly value: Fields }[], at: Path): void {
  if (split.length < 2) return
  const weights = split.map(({ value }) => number(value['weight']) ?? 0)
  const sum = weights.reduce((total, weight) => total + weight, 0)
  if (sum === 100) return
  if (sum === 0) {
    report('WeightsZero', at, 'all weights are 0', 'give at least one destination a weight')
    return
  }
  const shares = weights.map((weight) => `${Math.round((weight / sum) * 1000) / 10} %`).join(', ')
  report(
    'WeightsNotHundred',
    at,
    `the weights ${weights.join(', ')} add up to ${sum}, not 100: the shares are ${shares}`,
    'change the weights so that they add up to 100',
  )
}

function checkDelegate({ inventory, object, report }: RuleContext, delegate: Fields, at: Path): void {
  const name = text(delegate['name'])
  if (name === undefined) return
  const namespace = text(delegate['namespace']) ?? namespaceOf(object)
  if (inventory.find('VirtualService', istioNetworking, namespace, name) !== undefined) return
  if (!inventory.knows('VirtualService', istioNetworking, namespace)) return
  const remedy = 'create the VirtualService, or correct name and namespace'
  report('ReferenceNotFound', [...at, 'name'], `there is no VirtualService ${namespace}/${name}`, remedy)
}

/** Rules are tried in order: what follows one that takes the same, or everything, is never reached. */
const reachable: Rule = ({ object, report }) => {
  for (const family of ['http', 'tls', 'tcp']) {
    const seen = new Map<string, number>()
    let catchAll: number | undefined
    for (const [index, rule] of list(specOf(object)[family]).entries()) {
      const at: Path = ['spec', family, index]
      const matches = list(fields(rule)['match'])
      const keys = matches.map(matchKey)
      const earlier =
        catchAll ?? (keys.length > 0 && keys.every((key) => seen.has(key)) ? seen.get(keys[0]!) : undefined)
      if (earlier !== undefined) {
        const what = catchAll === undefined ? 'has the same match' : 'matches everything'
        const remedy = `move this rule before spec.${family}[${earlier}], or remove it`
        report('RouteUnreachable', at, `spec.${family}[${earlier}] ${what}, so this rule is never reached`, remedy)
      }
      for (const key of keys) if (!seen.has(key)) seen.set(key, index)
      if (catchAll === undefined && (matches.length === 0 || keys.includes(matchKey({})))) catchAll = index
    }
  }
}

/** Equal for matches that take the same requests, whatever they are called. */
function matchKey(match: unknown): string {
  const { name: _, uri, ...rest } = fields(match)
  const everything = text(fields(uri)['prefix']) === '/' || fields(uri)['regex'] === '.*'
  return canonical(everything || uri === undefined ? rest : { ...rest, uri })
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? ''
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([name, item]) => `${name}:${canonical(item)}`).join()}}`
}

const timeouts: Rule = ({ object, report }) => {
  for (const { route, at } of routesOf(object)) {
    const whole = durationMs(route['timeout'])
    const each = durationMs(fields(route['retries'])['perTryTimeout'])
    if (whole === undefined || each === undefined || whole === 0 || each <= whole) continue
    report(
      'RetryOutlivesTimeout',
      [...at, 'retries', 'perTryTimeout'],
      `one try may take ${text(fields(route['retries'])['perTryTimeout'])}, the whole request only ${text(route['timeout'])}: there is never a second try`,
      'make timeout at least attempts times perTryTimeout',
    )
  }
}

/** Two objects for one host: only the older one counts, or their rules are merged in an order that nobody wrote down. */
const sameHost: Rule = ({ object, inventory, report }) => {
  const spec = specOf(object)
  for (const [index, host] of texts(spec['hosts']).entries()) {
    const qualified = inventory.qualify(host, namespaceOf(object))
    const other = inventory
      .objects('VirtualService', istioNetworking)
      .find(
        (candidate) =>
          !isSame(candidate, object) &&
          hostsOf(candidate, inventory).has(qualified) &&
          overlap(spec, specOf(candidate)),
      )
    if (other === undefined) continue
    report(
      'HostConflict',
      ['spec', 'hosts', index],
      `VirtualService ${namespaceOf(other)}/${other.metadata.name} has rules for ${qualified} too: only those of the older one count`,
      'put the rules of a host into one VirtualService, or delegate to the others',
    )
  }
}

function isSame(a: MeshObject, b: MeshObject): boolean {
  return a.metadata.name === b.metadata.name && namespaceOf(a) === namespaceOf(b)
}

function hostsOf(object: MeshObject, inventory: RuleContext['inventory']): ReadonlySet<string> {
  return new Set(texts(specOf(object)['hosts']).map((host) => inventory.qualify(host, namespaceOf(object))))
}

function overlap(a: Fields, b: Fields): boolean {
  const gatewaysOf = (spec: Fields): readonly string[] =>
    list(spec['gateways']).length === 0 ? ['mesh'] : texts(spec['gateways'])
  return gatewaysOf(a).some((gateway) => gatewaysOf(b).includes(gateway))
}

function routesOf(object: MeshObject): readonly { readonly route: Fields; readonly at: Path }[] {
  const spec = specOf(object)
  return ['http', 'tls', 'tcp'].flatMap((family) =>
    items(spec[family], ['spec', family]).map(({ value, at }) => ({ route: value, at })),
  )
}

export const virtualServiceRules: readonly Rule[] = [
  hosts,
  gateways,
  destinations,
  callers,
  requests,
  reachable,
  timeouts,
  sameHost,
  hostsBehindWaypoint,
]
