// Namespaces, services and workloads: labels that the mesh reads, selectors and named ports, hosts that two objects claim.
import { dataplaneMode } from '../../model/enrolment.ts'
import { nearestOf } from '../../model/suggest.ts'
import type { Rule } from '../rule.ts'
import { items, labelsOf, labelText, namespaceOf, specOf, text, texts } from '../values.ts'
import { checkSelector } from './references.ts'
import { checkWaypointLabel } from './waypoints.ts'

const meshLabels: readonly string[] = [
  ...Object.values(dataplaneMode),
  'culvert.dev/use-waypoint',
  'culvert.dev/use-waypoint-namespace',
  'culvert.dev/waypoint-for',
  'istio.io/use-waypoint',
  'istio.io/use-waypoint-namespace',
  'istio.io/waypoint-for',
  'istio.io/ingress-use-waypoint',
  'istio.io/rev',
  'istio.io/global',
]
const modes = ['ambient', 'none'] as const
const sidecarLabels: readonly string[] = ['istio-injection', 'sidecar.istio.io/inject']

/** Labels of the mesh that say nothing because of a slip of the pen. */
export const labels: Rule = (context) => {
  const { object, report } = context
  for (const [name, value] of Object.entries(object.metadata.labels ?? {})) {
    const at = ['metadata', 'labels', name]
    if (Object.values(dataplaneMode).includes(name as never)) {
      if (modes.includes(value as never)) continue
      const near = nearestOf(value, modes)
      const remedy = near === undefined ? 'write ambient to enrol, none to opt out' : `did you mean "${near}"?`
      report('LabelMisspelt', at, `${name}: "${value}" is neither ambient nor none: it enrols nobody`, remedy)
    } else if (sidecarLabels.includes(name) && value !== 'disabled' && value !== 'false') {
      const remedy = `use the label ${dataplaneMode.own}: ambient instead`
      report('SidecarLabel', at, `${name} asks for a sidecar, and this mesh has none: it enrols nobody`, remedy)
    } else if (/^(culvert\.dev|istio\.io)\//.test(name) && !meshLabels.includes(name)) {
      const near = nearestOf(name, meshLabels)
      if (near !== undefined) report('LabelMisspelt', at, `the mesh has no label ${name}`, `did you mean ${near}?`)
    }
  }
  checkWaypointLabel(context)
}

/** An object in a namespace that nobody made. */
export const namespace: Rule = ({ object, inventory, report }) => {
  const name = namespaceOf(object)
  if (name === '' || object.kind === 'Namespace') return
  const known = inventory.namespaces()
  if (known.includes(name) || (known.length === 0 && !inventory.settings.complete)) return
  const near = nearestOf(name, known)
  // files seldom hold every namespace: only a slip of the pen is told
  if (near === undefined && !inventory.settings.complete) return
  const remedy = near === undefined ? 'create the namespace' : `did you mean "${near}"?`
  report('NamespaceNotFound', ['metadata', 'namespace'], `there is no namespace "${name}"`, remedy)
}

const endpoints: Rule = (context) => {
  const { object, inventory, report } = context
  const spec = specOf(object)
  const selector = labelsOf(spec['selector'])
  if (spec['type'] === 'ExternalName' || Object.keys(selector).length === 0) return
  const own = namespaceOf(object)
  checkSelector(context, own, selector, ['spec', 'selector'])
  const behind = inventory.selected(own, selector)
  if (behind.length === 0) return
  for (const { value, at } of items(spec['ports'], ['spec', 'ports'])) {
    const target = text(value['targetPort'])
    if (target === undefined || /^\d+$/.test(target)) continue
    const without = behind.filter(({ ports }) => ports[target] === undefined)
    if (without.length < behind.length) continue
    const names = new Set(behind.flatMap(({ ports }) => Object.keys(ports)))
    const near = nearestOf(target, names)
    const remedy =
      near !== undefined
        ? `did you mean "${near}"?`
        : `name a port "${target}" in the workloads, or write the port's number${names.size === 0 ? '' : `; they have ${[...names].join(', ')}`}`
    const message = `no workload with ${labelText(selector)} has a port named "${target}"`
    report('PortNotFound', [...at, 'targetPort'], message, remedy)
  }
}

/** Two objects that both say what a host is. */
const oneHost: Rule = ({ object, inventory, report }) => {
  for (const [index, host] of texts(specOf(object)['hosts']).entries()) {
    const other = inventory
      .hostOwners(host.toLowerCase())
      .find((owner) => owner.object.metadata.name !== object.metadata.name || owner.object.kind !== object.kind)
    if (other === undefined) continue
    const { kind, metadata } = other.object
    const message = `${kind} ${metadata.namespace}/${metadata.name} defines the host ${host} too`
    report('HostConflict', ['spec', 'hosts', index], message, 'keep the host in one of them')
  }
}

const workloadSelector: Rule = (context) => {
  const spec = specOf(context.object)
  const selector = labelsOf((spec['workloadSelector'] as { labels?: unknown } | undefined)?.labels)
  checkSelector(context, namespaceOf(context.object), selector, ['spec', 'workloadSelector', 'labels'])
}

export const serviceRules: readonly Rule[] = [endpoints]
export const serviceEntryRules: readonly Rule[] = [oneHost, workloadSelector]
