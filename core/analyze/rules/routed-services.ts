// Objects that only a waypoint carries out: does one stand in front of the Services that they name?
import type { Path } from '../../model/fields/field.ts'
import { waypointChoice } from '../../model/waypoint-labels.ts'
import { gatewayGroup, type Inventory, type KnownHost } from '../inventory.ts'
import type { Rule, RuleContext } from '../rule.ts'
import { items, namespaceOf, specOf, text, texts } from '../values.ts'

/** The label of the Service, else that of its Namespace; undefined where files do not tell. */
function isBehindWaypoint({ object }: KnownHost, inventory: Inventory): boolean | undefined {
  const choice = waypointChoice(object.metadata.labels ?? {})
  if (choice !== undefined) return choice !== 'none'
  const namespace = inventory.find('Namespace', '', '', namespaceOf(object))
  if (namespace === undefined) return undefined
  const common = waypointChoice(namespace.metadata.labels ?? {})
  return common !== undefined && common !== 'none'
}

function check({ object, inventory, report }: RuleContext, host: string, at: Path): void {
  const known = inventory.host(host)
  if (known?.object.kind !== 'Service' || isBehindWaypoint(known, inventory) !== false) return
  const name = `${namespaceOf(known.object)}/${known.object.metadata.name}`
  const message = `no waypoint stands in front of the Service ${name}: nobody does what this ${object.kind} says`
  const remedy = `label the Service or its Namespace istio.io/use-waypoint with the name of a Gateway of class culvert-waypoint`
  report('NeedsWaypoint', at, message, remedy)
}

function serviceHost({ inventory, object }: RuleContext, name: unknown, namespace?: string): string {
  return `${text(name) ?? ''}.${namespace ?? namespaceOf(object)}.${inventory.settings.serviceDomain}`
}

export const routeBehindWaypoint: Rule = (context) => {
  for (const { value, at } of items(specOf(context.object)['parentRefs'], ['spec', 'parentRefs'])) {
    if (value['kind'] !== 'Service' || value['group'] !== '') continue
    check(context, serviceHost(context, value['name'], text(value['namespace'])), [...at, 'name'])
  }
}

export const hostsBehindWaypoint: Rule = (context) => {
  const { object, inventory } = context
  const spec = specOf(object)
  const gateways = texts(spec['gateways'])
  if (gateways.length > 0 && !gateways.includes('mesh')) return
  const hosts = texts(spec['hosts']).map((host, index) => [host, ['spec', 'hosts', index]] as const)
  const single = text(spec['host'])
  for (const [host, at] of single === undefined ? hosts : [[single, ['spec', 'host']] as const]) {
    if (!host.includes('*')) check(context, inventory.qualify(host, namespaceOf(object)), at)
  }
}

export const targetsBehindWaypoint: Rule = (context) => {
  for (const { value, at } of items(specOf(context.object)['targetRefs'], ['spec', 'targetRefs'])) {
    const group = text(value['group']) ?? ''
    if (value['kind'] === 'Service' && group !== gatewayGroup) {
      check(context, serviceHost(context, value['name']), [...at, 'name'])
    }
  }
}
