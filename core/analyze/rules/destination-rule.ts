// DestinationRule: does its host exist, do its subsets select anybody, does it quarrel with another one or with the mesh's TLS.
import type { Path } from '../../model/fields/field.ts'
import { istioNetworking } from '../inventory.ts'
import type { Rule, RuleContext } from '../rule.ts'
import { type Fields, fields, items, labelsOf, labelText, namespaceOf, selects, specOf, text } from '../values.ts'
import { checkHost, checkPort } from './references.ts'
import { hostsBehindWaypoint } from './routed-services.ts'

const host: Rule = (context) => {
  const spec = specOf(context.object)
  const name = text(spec['host'])
  if (name === undefined || name.includes('*')) return
  const known = checkHost(context, name, ['spec', 'host'])
  if (known === undefined) return
  checkSubsets(context, known.selector, namespaceOf(known.object))
  for (const { value, at } of policiesOf(spec)) {
    for (const { value: entry, at: entryAt } of items(value['portLevelSettings'], [...at, 'portLevelSettings'])) {
      const port = fields(entry['port'])['number']
      if (typeof port === 'number') checkPort(context, known, port, [...entryAt, 'port', 'number'])
    }
  }
}

function checkSubsets({ object, inventory, report }: RuleContext, selector: unknown, namespace: string): void {
  const base = labelsOf(selector)
  if (selector === undefined || !inventory.knowsWorkloads(namespace)) return
  const behind = inventory.selected(namespace, base)
  // a service without workloads is told of the service
  if (behind.length === 0) return
  for (const { value, at } of items(specOf(object)['subsets'], ['spec', 'subsets'])) {
    const labels = labelsOf(value['labels'])
    if (behind.some((workload) => selects(labels, workload.labels))) continue
    const seen = new Set(behind.map((workload) => labelText(pick(workload.labels, Object.keys(labels)))))
    report(
      'SubsetSelectsNothing',
      [...at, 'labels'],
      `no workload behind ${text(specOf(object)['host'])} has the labels ${labelText(labels)}`,
      `the workloads have ${[...seen].filter((words) => words !== '').join(' and ') || 'none of these labels'}: correct the labels`,
    )
  }
}

function pick(labels: Readonly<Record<string, string>>, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => names.includes(name)))
}

const sameHost: Rule = ({ object, inventory, report }) => {
  const name = text(specOf(object)['host'])
  if (name === undefined) return
  const qualified = inventory.qualify(name, namespaceOf(object))
  const others = inventory
    .objects('DestinationRule', istioNetworking)
    .filter((other) => other.metadata.name !== object.metadata.name || namespaceOf(other) !== namespaceOf(object))
    .filter((other) => inventory.qualify(text(specOf(other)['host']) ?? '', namespaceOf(other)) === qualified)
    .filter((other) => sameSelector(other.spec, object.spec))
  for (const other of others) {
    const clash = clashOf(specOf(object), specOf(other))
    if (clash === undefined) continue
    report(
      'HostConflict',
      ['spec', ...clash.at],
      `DestinationRule ${namespaceOf(other)}/${other.metadata.name} sets ${clash.what} of ${qualified} too: only one of them counts`,
      'keep one DestinationRule for each host',
    )
  }
}

function sameSelector(a: unknown, b: unknown): boolean {
  return labelText(selectorOf(a)) === labelText(selectorOf(b))
}

function selectorOf(spec: unknown): Readonly<Record<string, string>> {
  return labelsOf(fields(fields(spec)['workloadSelector'])['matchLabels'])
}

function clashOf(own: Fields, other: Fields): { readonly at: Path; readonly what: string } | undefined {
  if (own['trafficPolicy'] !== undefined && other['trafficPolicy'] !== undefined) {
    return { at: ['trafficPolicy'], what: 'the traffic policy' }
  }
  const theirs = new Set(items(other['subsets'], []).map(({ value }) => text(value['name'])))
  for (const { value, at } of items(own['subsets'], ['subsets'])) {
    if (theirs.has(text(value['name']))) return { at: [...at, 'name'], what: `the subset ${text(value['name'])}` }
  }
  return undefined
}

/** Between workloads of the mesh the tunnel encrypts: another TLS layer fails, or is not what was meant. */
const tls: Rule = ({ object, inventory, report }) => {
  const spec = specOf(object)
  const known = inventory.host(inventory.qualify(text(spec['host']) ?? '', namespaceOf(object)))
  if (known?.object.kind !== 'Service') return
  for (const { value, at } of policiesOf(spec)) {
    const mode = text(fields(value['tls'])['mode'])
    if (mode !== 'DISABLE' && mode !== 'SIMPLE' && mode !== 'MUTUAL') continue
    const effect =
      mode === 'DISABLE'
        ? 'the tunnel of the mesh encrypts all the same'
        : 'the client would speak TLS inside the tunnel'
    report(
      'MutualTlsConflict',
      [...at, 'tls', 'mode'],
      `${mode} for ${known.host}, a service of the mesh: ${effect}`,
      'remove tls, or write ISTIO_MUTUAL; to accept plaintext use a PeerAuthentication with mode PERMISSIVE',
    )
  }
}

/** The traffic policy of the host and those of its subsets. */
function policiesOf(spec: Fields): readonly { readonly value: Fields; readonly at: Path }[] {
  const own = { value: fields(spec['trafficPolicy']), at: ['spec', 'trafficPolicy'] as Path }
  const ofSubsets = items(spec['subsets'], ['spec', 'subsets']).map(({ value, at }) => ({
    value: fields(value['trafficPolicy']),
    at: [...at, 'trafficPolicy'],
  }))
  return [own, ...ofSubsets]
}

export const destinationRuleRules: readonly Rule[] = [host, sameHost, tls, hostsBehindWaypoint]
