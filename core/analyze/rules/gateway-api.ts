// Gateways and routes of the Gateway API: parents, backends and grants that must exist, rules that nobody reaches.
import type { Path } from '../../model/fields/field.ts'
import type { MeshObject } from '../../model/resource.ts'
import { nearestOf } from '../../model/suggest.ts'
import { gatewayGroup } from '../inventory.ts'
import type { Rule, RuleContext } from '../rule.ts'
import { durationMs, type Fields, fields, items, list, namespaceOf, number, specOf, text, texts } from '../values.ts'
import { checkKind } from './referenced-kind.ts'
import { checkPort } from './references.ts'
import { routeBehindWaypoint } from './routed-services.ts'
import { instances, isWaypoint, listenerTakes, waypointClasses } from './waypoints.ts'

const gatewayClass: Rule = ({ object, inventory, report }) => {
  const name = text(specOf(object)['gatewayClassName'])
  if (name === undefined || waypointClasses.includes(name)) return
  const known = inventory.objects('GatewayClass', gatewayGroup, '').map(({ metadata }) => metadata.name)
  if (known.includes(name)) return
  const near = nearestOf(name, [...waypointClasses, ...known])
  const remedy = near === undefined ? 'write culvert-waypoint, or create the GatewayClass' : `did you mean "${near}"?`
  report('GatewayClassNotFound', ['spec', 'gatewayClassName'], `there is no GatewayClass "${name}"`, remedy)
}

const parents: Rule = (context) => {
  for (const { value, at } of items(specOf(context.object)['parentRefs'], ['spec', 'parentRefs'])) {
    const kind = text(value['kind']) ?? 'Gateway'
    const group = typeof value['group'] === 'string' ? value['group'] : gatewayGroup
    checkKind(context, group, kind, at)
    if (kind === 'Gateway' && group === gatewayGroup) checkGateway(context, value, at)
    if (kind === 'Service' && group === '') checkService(context, value, at, false)
  }
}

function checkGateway({ object, inventory, report }: RuleContext, parent: Fields, at: Path): void {
  const name = text(parent['name']) ?? ''
  const namespace = text(parent['namespace']) ?? namespaceOf(object)
  const gateway = inventory.find('Gateway', gatewayGroup, namespace, name)
  if (gateway === undefined) {
    if (!inventory.knows('Gateway', gatewayGroup, namespace)) return
    const near = nearestOf(
      name,
      inventory.objects('Gateway', gatewayGroup, namespace).map(({ metadata }) => metadata.name),
    )
    const remedy = near === undefined ? 'create the Gateway, or correct name and namespace' : `did you mean "${near}"?`
    report('GatewayNotFound', [...at, 'name'], `there is no Gateway ${namespace}/${name}`, remedy)
    return
  }
  if (isWaypoint(gateway, inventory)) {
    const message = `Gateway ${namespace}/${name} is a waypoint, to which no routes attach`
    report(
      'RouteNotAllowed',
      [...at, 'name'],
      message,
      'name the Services behind it as parents: group: "", kind: Service',
    )
    return
  }
  const listeners = items(specOf(gateway)['listeners'], [])
  const section = text(parent['sectionName'])
  const named = listeners.filter(({ value }) => section === undefined || value['name'] === section)
  if (section !== undefined && named.length === 0) {
    const names = listeners.map(({ value }) => text(value['name']) ?? '')
    const message = `Gateway ${namespace}/${name} has no listener "${section}"`
    report('ReferenceNotFound', [...at, 'sectionName'], message, `use one of its listeners: ${names.join(', ')}`)
    return
  }
  const port = number(parent['port'])
  const chosen = named.filter(({ value }) => port === undefined || value['port'] === port)
  if (port !== undefined && chosen.length === 0) {
    report(
      'PortNotFound',
      [...at, 'port'],
      `Gateway ${namespace}/${name} has no listener on port ${port}`,
      'use the port of a listener',
    )
    return
  }
  checkAllowed(
    { object, inventory, report },
    gateway,
    chosen.map(({ value }) => value),
    at,
  )
}

function checkAllowed(context: RuleContext, gateway: MeshObject, listeners: readonly Fields[], at: Path): void {
  const { object, inventory, report } = context
  const where = `Gateway ${namespaceOf(gateway)}/${gateway.metadata.name}`
  if (
    listeners.length > 0 &&
    !listeners.some((it) => listenerTakes(it, namespaceOf(gateway), namespaceOf(object), inventory))
  ) {
    report(
      'RouteNotAllowed',
      [...at, 'name'],
      `${where} takes no routes from namespace ${namespaceOf(object)}`,
      'set allowedRoutes.namespaces.from of a listener to All, or to Selector with labels of this namespace',
    )
    return
  }
  const hostnames = texts(specOf(object)['hostnames'])
  const fits = listeners.some((listener) => {
    const own = text(listener['hostname'])
    return own === undefined || hostnames.some((host) => overlaps(own, host))
  })
  if (hostnames.length === 0 || listeners.length === 0 || fits) return
  const own = listeners.map((listener) => text(listener['hostname'])).join(', ')
  const message = `none of the host names fits a listener of ${where}: ${own}`
  report('RouteNotAllowed', ['spec', 'hostnames'], message, 'use a host name of the listener')
}

function overlaps(a: string, b: string): boolean {
  if (a === b) return true
  if (a.startsWith('*.')) return b.endsWith(a.slice(1)) || (b.startsWith('*.') && a.endsWith(b.slice(1)))
  return b.startsWith('*.') && a.endsWith(b.slice(1))
}

const backends: Rule = (context) => {
  for (const { value: rule, at } of items(specOf(context.object)['rules'], ['spec', 'rules'])) {
    const refs = items(rule['backendRefs'], [...at, 'backendRefs'])
    for (const ref of refs) checkBackend(context, ref.value, ref.at)
    const weights = refs.map(({ value }) => number(value['weight']) ?? 1)
    if (weights.length > 0 && weights.every((weight) => weight === 0)) {
      const remedy = 'give at least one backend a weight'
      context.report(
        'WeightsZero',
        [...at, 'backendRefs'],
        'all weights are 0: every request is answered with 500',
        remedy,
      )
    }
    for (const { value: filter, at: filterAt } of items(rule['filters'], [...at, 'filters'])) {
      const backend = fields(filter['requestMirror'])['backendRef']
      if (backend !== undefined) checkBackend(context, fields(backend), [...filterAt, 'requestMirror', 'backendRef'])
    }
  }
}

function checkBackend(context: RuleContext, backend: Fields, at: Path): void {
  const kind = text(backend['kind']) ?? 'Service'
  const group = typeof backend['group'] === 'string' ? backend['group'] : ''
  checkKind(context, group, kind, at)
  if (kind !== 'Service' || group !== '') return
  checkGrant(context, backend, at)
  checkService(context, backend, at, true)
}

/** `needsPort`: a backend must say which port, a parent may. */
function checkService(context: RuleContext, reference: Fields, at: Path, needsPort: boolean): void {
  const { object, inventory, report } = context
  const name = text(reference['name']) ?? ''
  const namespace = text(reference['namespace']) ?? namespaceOf(object)
  const known = inventory.host(`${name}.${namespace}.${inventory.settings.serviceDomain}`)
  if (known === undefined) {
    if (!inventory.knowsHosts(namespace)) return
    const near = nearestOf(
      name,
      inventory.objects('Service', '', namespace).map(({ metadata }) => metadata.name),
    )
    const remedy = near === undefined ? 'create the Service, or correct name and namespace' : `did you mean "${near}"?`
    report('HostNotFound', [...at, 'name'], `there is no Service ${namespace}/${name}`, remedy)
    return
  }
  const port = number(reference['port'])
  if (port === undefined && needsPort) {
    const listed = known.ports.map((entry) => entry.number).join(', ')
    report('PortAmbiguous', at, `the backend ${name} has no port`, `add port: one of ${listed}`)
  } else if (port !== undefined) checkPort(context, known, port, [...at, 'port'])
}

/** In the mesh a route needs no grant to lead into another namespace (GEP-1294). */
function isMeshRoute(object: MeshObject): boolean {
  const parents = items(specOf(object)['parentRefs'], [])
  return parents.length > 0 && parents.every(({ value }) => value['kind'] === 'Service' && value['group'] === '')
}

function checkGrant({ object, inventory, report }: RuleContext, backend: Fields, at: Path): void {
  if (isMeshRoute(object)) return
  const namespace = text(backend['namespace']) ?? namespaceOf(object)
  if (namespace === namespaceOf(object)) return
  const name = text(backend['name'])
  const granted = inventory.objects('ReferenceGrant', gatewayGroup, namespace).some((grant) => {
    const spec = specOf(grant)
    const from = items(spec['from'], []).some(
      ({ value }) =>
        value['kind'] === object.kind && value['group'] === gatewayGroup && value['namespace'] === namespaceOf(object),
    )
    const to = items(spec['to'], []).some(
      ({ value }) => value['kind'] === 'Service' && (text(value['name']) === undefined || value['name'] === name),
    )
    return from && to
  })
  if (granted) return
  report(
    'ReferenceNotGranted',
    [...at, 'namespace'],
    `namespace ${namespace} has no ReferenceGrant for ${object.kind}s of ${namespaceOf(object)} to the Service ${name}`,
    `create a ReferenceGrant in ${namespace} with from: [{group: ${gatewayGroup}, kind: ${object.kind}, namespace: ${namespaceOf(object)}}] and to: [{group: "", kind: Service}]`,
  )
}

const matches: Rule = ({ object, report }) => {
  const seen = new Map<string, Path>()
  for (const { value: rule, at } of items(specOf(object)['rules'], ['spec', 'rules'])) {
    const own =
      list(rule['matches']).length === 0 ? [{ value: {} as Fields, at }] : items(rule['matches'], [...at, 'matches'])
    for (const match of own) {
      const key = JSON.stringify(sorted(match.value))
      const earlier = seen.get(key)
      if (earlier === undefined) seen.set(key, match.at)
      else {
        const message = `spec.rules[${String(earlier[2])}] has the same match, and the first one counts`
        report('RouteUnreachable', match.at, message, 'change the match, or join the two rules')
      }
    }
    checkTimeouts(report, fields(rule['timeouts']), [...at, 'timeouts'])
  }
}

/** The defaults of a match written out, and its keys in order: equal for what matches the same. */
function sorted(match: Fields): unknown {
  const path = fields(match['path'])
  const whole = { ...match, path: { type: text(path['type']) ?? 'PathPrefix', value: text(path['value']) ?? '/' } }
  return order(whole)
}

function order(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(order)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, item]) => [name, order(item)]),
  )
}

function checkTimeouts(report: RuleContext['report'], timeouts: Fields, at: Path): void {
  const [whole, each] = [durationMs(timeouts['request']), durationMs(timeouts['backendRequest'])]
  if (whole === undefined || each === undefined || whole === 0 || each <= whole) return
  const message = `one try may take ${text(timeouts['backendRequest'])}, the whole request only ${text(timeouts['request'])}`
  report('RetryOutlivesTimeout', [...at, 'backendRequest'], message, 'make request at least as long as backendRequest')
}

export const gatewayRules: readonly Rule[] = [gatewayClass, instances]
export const routeRules: readonly Rule[] = [parents, backends, matches, routeBehindWaypoint]
