// What rules of several kinds ask: does the host exist, the port, the subset, and does anybody have the labels of a selector.
import type { Path } from '../../model/fields/field.ts'
import { nearestOf } from '../../model/suggest.ts'
import { istioNetworking, type KnownHost } from '../inventory.ts'
import type { RuleContext } from '../rule.ts'
import { fields, items, type Labels, labelsOf, labelText, namespaceOf, number, specOf, text } from '../values.ts'

/** The host that a rule of the object's namespace names; reports where it does not exist. */
export function checkHost(context: RuleContext, host: string, at: Path): KnownHost | undefined {
  const { inventory, report, object } = context
  const qualified = inventory.qualify(host, namespaceOf(object))
  const known = inventory.host(qualified)
  if (known !== undefined || qualified.includes('*')) return known
  const asService =
    inventory.host(`${host}.${inventory.settings.serviceDomain}`) ?? inventory.host(`${host}.cluster.local`)
  if (asService !== undefined) {
    report(
      'HostNotQualified',
      at,
      `"${host}" has a dot and is taken as a complete host name, not as the service ${asService.host}`,
      `write ${asService.host}`,
    )
    return asService
  }
  if (!isMissing(context, qualified)) return undefined
  const near = nearHost(context, host, qualified)
  const remedy =
    near === undefined
      ? `create the Service or a ServiceEntry with the host ${qualified}, or correct the name`
      : `did you mean "${near}"? Else create the Service or a ServiceEntry with the host ${qualified}`
  report('HostNotFound', at, `no Service or ServiceEntry has the host ${qualified}`, remedy)
  return undefined
}

/** Whether the host would be known if it existed. */
function isMissing({ inventory, object }: RuleContext, qualified: string): boolean {
  const service = inventory.serviceOf(qualified)
  if (service !== undefined) return inventory.knowsHosts(service.namespace)
  if (mended(inventory.settings.serviceDomain, qualified) !== undefined) return true
  return inventory.settings.complete || inventory.knows('ServiceEntry', istioNetworking, namespaceOf(object))
}

/** The domain of services of several clusters, which is near enough to be taken for a slip of the pen. */
const clusterSet = 'clusterset.local'

/** The host with the domain of services, where it ends in a misspelt one: `orders.shop.svc.cluster.locl`. */
function mended(serviceDomain: string, host: string): string | undefined {
  const [, name, domain = ''] = /^([^.]+\.[^.]+)\.(svc\..+)$/.exec(host) ?? []
  if (name === undefined || domain === `svc.${clusterSet}`) return undefined
  return nearestOf(domain, [serviceDomain]) === undefined ? undefined : `${name}.${serviceDomain}`
}

function nearHost({ inventory, object }: RuleContext, host: string, qualified: string): string | undefined {
  const service = inventory.serviceOf(qualified)
  if (service === undefined) {
    return mended(inventory.settings.serviceDomain, qualified) ?? nearestOf(host, inventory.hostNames())
  }
  const names = inventory.objects('Service', '', service.namespace).map(({ metadata }) => metadata.name)
  const near = nearestOf(service.name, names)
  if (near !== undefined) return host.includes('.') ? inventory.qualify(near, service.namespace) : near
  const elsewhere = inventory.objects('Service', '').find(({ metadata }) => metadata.name === service.name)
  if (elsewhere === undefined || namespaceOf(elsewhere) === namespaceOf(object)) return undefined
  return inventory.qualify(service.name, namespaceOf(elsewhere))
}

/** The port of a destination: it must exist, and be named where the service has several. */
export function checkPort(context: RuleContext, known: KnownHost, port: number | undefined, at: Path): void {
  const { ports, host } = known
  if (ports.length === 0) return
  const listed = ports.map(({ number, name }) => (name === '' ? String(number) : `${number} (${name})`)).join(', ')
  if (port === undefined) {
    if (ports.length < 2) return
    context.report('PortAmbiguous', at, `${host} has several ports: ${listed}`, 'add port.number with one of them')
  } else if (!ports.some(({ number }) => number === port)) {
    context.report('PortNotFound', at, `${host} has no port ${port}`, `use one of its ports: ${listed}`)
  }
}

interface Subset {
  readonly name: string
  readonly labels: Labels
}

/** Subsets that DestinationRules define for a qualified host. */
export function subsetsOf(context: RuleContext, qualified: string): readonly Subset[] {
  return context.inventory
    .objects('DestinationRule', istioNetworking)
    .filter((rule) => matchesHost(hostOfRule(context, rule.spec ?? {}, namespaceOf(rule)), qualified))
    .flatMap((rule) => items(specOf(rule)['subsets'], []))
    .map(({ value }) => ({ name: text(value['name']) ?? '', labels: labelsOf(value['labels']) }))
}

function hostOfRule({ inventory }: RuleContext, spec: Readonly<Record<string, unknown>>, namespace: string): string {
  return inventory.qualify(text(spec['host']) ?? '', namespace)
}

function matchesHost(pattern: string, host: string): boolean {
  if (pattern === host) return true
  return pattern.startsWith('*') && host.endsWith(pattern.slice(1))
}

export function checkSubset(context: RuleContext, qualified: string, subset: string, at: Path): void {
  const subsets = subsetsOf(context, qualified)
  if (subsets.some(({ name }) => name === subset)) return
  const defined = subsets.map(({ name }) => name)
  const near = nearestOf(subset, defined)
  const message =
    defined.length === 0
      ? `no DestinationRule for ${qualified} defines the subset "${subset}"`
      : `the subsets of ${qualified} are ${defined.join(', ')}; there is none "${subset}"`
  const remedy =
    near === undefined
      ? `add a subset "${subset}" with its labels to a DestinationRule with host ${qualified}`
      : `did you mean "${near}"? Else add the subset to the DestinationRule`
  context.report('SubsetNotFound', at, message, remedy)
}

/** A destination of Istio's routes: host, subset, port. */
export function checkDestination(context: RuleContext, destination: unknown, at: Path): void {
  const { host, subset, port } = fields(destination)
  const name = text(host)
  if (name === undefined) return
  const known = checkHost(context, name, [...at, 'host'])
  const qualified =
    known?.host.startsWith('*') === false ? known.host : context.inventory.qualify(name, namespaceOf(context.object))
  const subsetName = text(subset)
  if (subsetName !== undefined) checkSubset(context, qualified, subsetName, [...at, 'subset'])
  if (known === undefined) return
  const wanted = number(fields(port)['number'])
  checkPort(context, known, wanted, wanted === undefined ? [...at, 'host'] : [...at, 'port', 'number'])
}

/** `namespace` undefined: all namespaces. */
export function checkSelector(context: RuleContext, namespace: string | undefined, selector: Labels, at: Path): void {
  const { inventory, report } = context
  if (Object.keys(selector).length === 0) return
  if (!inventory.knowsWorkloads(namespace ?? '')) return
  if (inventory.selected(namespace, selector).length > 0) return
  const where = namespace === undefined ? 'in the mesh' : `in namespace ${namespace}`
  report(
    'SelectorMatchesNothing',
    at,
    `no workload ${where} has the labels ${labelText(selector)}`,
    nearLabels(context, namespace, selector) ?? 'correct the labels, or the namespace of this object',
  )
}

/** What comes nearest to the selector: the same label with a similar value, a similar label, or another namespace. */
function nearLabels({ inventory }: RuleContext, namespace: string | undefined, selector: Labels): string | undefined {
  const here = inventory.workloads(namespace)
  for (const [name, value] of Object.entries(selector)) {
    const values = new Set(here.flatMap(({ labels }) => labels[name] ?? []))
    if (values.has(value)) continue
    const nearValue = nearestOf(value, values)
    if (nearValue !== undefined) return `did you mean ${name}: ${nearValue}?`
    const nearName = nearestOf(name, new Set(here.flatMap(({ labels }) => Object.keys(labels))))
    if (nearName !== undefined && nearName !== name) return `did you mean the label ${nearName}?`
  }
  const elsewhere = inventory.selected(undefined, selector)[0]
  if (elsewhere === undefined) return undefined
  return `workloads with these labels are in namespace ${elsewhere.namespace}: put the object there`
}
