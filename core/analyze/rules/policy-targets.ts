// targetRefs of policies, and whether a waypoint stands in front of what a policy holds for.
import type { Path } from '../../model/fields/field.ts'
import { nearestOf } from '../../model/suggest.ts'
import { istioNetworking } from '../inventory.ts'
import type { RuleContext } from '../rule.ts'
import { type Fields, fields, items, labelsOf, namespaceOf, specOf, text } from '../values.ts'
import { usesWaypoint } from './waypoints.ts'

interface TargetRef {
  readonly value: Fields
  readonly at: Path
}

function targetsOf(spec: Fields): readonly TargetRef[] {
  const single = spec['targetRef']
  const many = items(spec['targetRefs'], ['spec', 'targetRefs'])
  return single === undefined ? many : [{ value: fields(single), at: ['spec', 'targetRef'] }, ...many]
}

/** Does what a policy targets exist? */
export function checkTargets(context: RuleContext): void {
  for (const { value, at } of targetsOf(specOf(context.object))) checkTarget(context, value, at)
}

function checkTarget({ object, inventory, report }: RuleContext, target: Fields, at: Path): void {
  const kind = text(target['kind']) ?? ''
  const group = text(target['group']) ?? (kind === 'ServiceEntry' ? istioNetworking : '')
  const name = text(target['name']) ?? ''
  const namespace = kind === 'GatewayClass' ? '' : (text(target['namespace']) ?? namespaceOf(object))
  if (inventory.find(kind, group, namespace, name) !== undefined || !inventory.knows(kind, group, namespace)) return
  const near = nearestOf(
    name,
    inventory.objects(kind, group, namespace).map(({ metadata }) => metadata.name),
  )
  const where = namespace === '' ? name : `${namespace}/${name}`
  const remedy = near === undefined ? `create the ${kind}, or correct the reference` : `did you mean "${near}"?`
  report('ReferenceNotFound', [...at, 'name'], `there is no ${kind} ${where}`, remedy)
}

/** Whether layer 7 can be decided for the workloads that the policy holds for. */
export function hasWaypoint({ object, inventory }: RuleContext): boolean {
  const namespace = namespaceOf(object)
  const targets = targetsOf(specOf(object))
  const attached = targets.some(({ value }) => {
    if (value['kind'] === 'Gateway' || value['kind'] === 'GatewayClass') return true
    const target = inventory.find(
      text(value['kind']) ?? '',
      text(value['group']) ?? '',
      namespace,
      text(value['name']) ?? '',
    )
    return target !== undefined && usesWaypoint(target.metadata.labels)
  })
  if (attached) return true
  const own = inventory.find('Namespace', '', '', namespace)
  if (own !== undefined && usesWaypoint(own.metadata.labels)) return true
  const selector = labelsOf(fields(specOf(object)['selector'])['matchLabels'])
  const chosen = inventory.selected(inventory.isRoot(namespace) ? undefined : namespace, selector)
  // what files do not hold may well stand in the mesh
  if (chosen.length === 0 && own === undefined) return !inventory.knowsWorkloads(namespace)
  return chosen.some(({ labels }) => usesWaypoint(labels)) || servicesUseWaypoint(inventory, namespace, chosen)
}

function servicesUseWaypoint(
  inventory: RuleContext['inventory'],
  namespace: string,
  workloads: ReturnType<RuleContext['inventory']['selected']>,
): boolean {
  return inventory.objects('Service', '', namespace).some((service) => {
    if (!usesWaypoint(service.metadata.labels)) return false
    const selector = Object.entries(labelsOf(specOf(service)['selector']))
    return (
      selector.length > 0 && workloads.some(({ labels }) => selector.every(([name, value]) => labels[name] === value))
    )
  })
}
