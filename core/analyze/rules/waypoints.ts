// Waypoints: does the Gateway exist that a label asks for, may this namespace use it, does anybody stand behind a Gateway.
import type { Path } from '../../model/fields/field.ts'
import { labelsMatch, namespaceLabels } from '../../model/label-selector.ts'
import type { MeshObject } from '../../model/resource.ts'
import { nearestOf } from '../../model/suggest.ts'
import { gatewayName, type WaypointChoice, waypointChoice } from '../../model/waypoint-labels.ts'
import { gatewayGroup, type Inventory } from '../inventory.ts'
import type { Rule, RuleContext } from '../rule.ts'
import { type Fields, fields, items, namespaceOf, specOf, text } from '../values.ts'

/** Classes of waypoints that are there without an object: Culvert's, and Istio's name for the same. */
export const waypointClasses: readonly string[] = ['culvert-waypoint', 'istio-waypoint']

const waypointController = 'culvert.dev/waypoint'

export function usesWaypoint(labels: Readonly<Record<string, string>> | undefined): boolean {
  const choice = waypointChoice(labels ?? {})
  return choice !== undefined && choice !== 'none'
}

export function isWaypoint(gateway: MeshObject, inventory: Inventory): boolean {
  const name = text(specOf(gateway)['gatewayClassName']) ?? ''
  if (waypointClasses.includes(name)) return true
  const found = inventory.find('GatewayClass', gatewayGroup, '', name)
  return found !== undefined && specOf(found)['controllerName'] === waypointController
}

/** What labels of an object ask for. */
export function checkWaypointLabel(context: RuleContext): void {
  const { object, inventory, report } = context
  const choice = waypointChoice(object.metadata.labels ?? {})
  if (choice === undefined || choice === 'none') return
  const own = object.kind === 'Namespace' ? object.metadata.name : namespaceOf(object)
  const namespace = choice.namespace ?? own
  const at = ['metadata', 'labels', choice.label]
  const gateway = inventory.find('Gateway', gatewayGroup, namespace, choice.name)
  if (gateway === undefined) {
    checkMissing(context, choice, namespace, at)
    return
  }
  const where = `Gateway ${namespace}/${choice.name}`
  if (!isWaypoint(gateway, inventory)) {
    const message = `${where} is of class ${text(specOf(gateway)['gatewayClassName'])}, which is no class of waypoints: what should pass it is refused`
    report('WaypointNotFound', at, message, 'name a Gateway with gatewayClassName culvert-waypoint')
  } else if (choice.name === 'default') {
    const message = `${where} is not accepted as a waypoint: its identity would be the service account of every workload that names none, so what should pass it is refused`
    report('WaypointNotFound', at, message, 'give the Gateway another name')
  } else if (!allows(gateway, own, inventory)) {
    const message = `${where} does not let namespace ${own} use it: what should pass it is refused`
    const remedy =
      'set allowedRoutes.namespaces.from of its listener to All, or to Selector with labels of this namespace'
    report('WaypointNotAllowed', at, message, remedy)
  }
}

function checkMissing({ inventory, report }: RuleContext, choice: WaypointChoice, namespace: string, at: Path): void {
  if (!inventory.settings.complete && inventory.objects('Gateway', gatewayGroup).length === 0) return
  const { name } = choice
  const near = nearestOf(
    name,
    inventory.objects('Gateway', gatewayGroup, namespace).map(({ metadata }) => metadata.name),
  )
  const remedy =
    near === undefined
      ? `create a Gateway ${namespace}/${name} with gatewayClassName culvert-waypoint, or remove the label`
      : `did you mean "${near}"?`
  const message = `there is no Gateway ${namespace}/${name}: what should pass it is refused`
  report('WaypointNotFound', at, message, remedy)
}

function allows(gateway: MeshObject, namespace: string, inventory: Inventory): boolean {
  const listeners = items(specOf(gateway)['listeners'], []).map(({ value }) => value)
  const listener = listeners.find(({ protocol }) => protocol === 'HBONE')
  return listener === undefined || listenerTakes(listener, namespaceOf(gateway), namespace, inventory)
}

/** Whether `allowedRoutes` of a listener takes something of a namespace; what files do not tell counts as yes. */
export function listenerTakes(listener: Fields, own: string, namespace: string, inventory: Inventory): boolean {
  const { from, selector } = fields(fields(listener['allowedRoutes'])['namespaces'])
  if (from === 'All') return true
  if (from !== 'Selector') return own === namespace
  const object = inventory.find('Namespace', '', '', namespace)
  if (object === undefined && !inventory.settings.complete) return true
  return labelsMatch(fields(selector), namespaceLabels(namespace, object?.metadata.labels))
}

/** Only of a live mesh: files hold no instances. */
export const instances: Rule = ({ object, inventory, report }) => {
  if (!inventory.settings.complete || !isWaypoint(object, inventory)) return
  const { name } = object.metadata
  const namespace = namespaceOf(object)
  const serving = inventory
    .selected(namespace, { [gatewayName]: name })
    .some(({ serviceAccount }) => serviceAccount === name)
  if (serving) return
  const message = `nobody serves the waypoint ${namespace}/${name}: what should pass it is refused`
  const remedy = `start an instance: culvert waypoint with a token of culvert token create --waypoint ${namespace}/${name}`
  report('WaypointWithoutInstances', ['metadata', 'name'], message, remedy)
}
