// DestinationRule (networking.istio.io): how traffic to a host is treated, and the subsets of the host that routes name.
import { asWhole, enforced, type ObjectCheck, type ObjectField, type ValueCheck, type ValueOf } from './field.ts'
import { exportToFits, wildcardHost } from './hosts.ts'
import { labels, text, texts } from './parts.ts'
import { clip, dnsLabel } from './rules.ts'
import { selectorAsWhole } from './selector.ts'
import { group, groups } from './shapes.ts'
import { trafficPolicy } from './traffic-policy.ts'

/** Nobody at all (`~`) is for ServiceEntry only. */
const audience: ValueCheck<string> = (value) => {
  if (value === '.' || value === '*' || dnsLabel(value) === undefined) return undefined
  return `"${clip(value)}" is neither "." (this namespace), "*" (all) nor a namespace`
}

const subset = group('A part of the workloads of the host.', {
  name: text('Name by which routes find it.', { required: true, check: dnsLabel }),
  labels: labels('Labels that a workload must carry to belong to it; all belong where absent.'),
  trafficPolicy: {
    ...trafficPolicy,
    text: 'How traffic to the subset is treated, part by part in place of the whole.',
  },
})

const subsetsDiffer: ObjectCheck = (spec, report) => {
  const names = ((spec['subsets'] ?? []) as readonly { readonly name: string }[]).map(({ name }) => name)
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) === index) continue
    report(['subsets', index, 'name'], `"${clip(name)}" is the name of an earlier subset: rename one`, 'duplicate')
  }
}

/** istiod's rule: clients are chosen by label in one namespace only. */
const selectorStaysHome: ObjectCheck = (spec, report) => {
  const exportTo = (spec['exportTo'] ?? []) as readonly string[]
  if (spec['workloadSelector'] === undefined) return
  if (exportTo.length > 1 || exportTo[0] === '*') {
    report(['exportTo'], 'reaches beyond this namespace, which workloadSelector does not: write ["."] or remove it')
  }
}

export const destinationRuleSpec = {
  type: 'object',
  text: 'How traffic to a host is treated.',
  use: asWhole,
  checks: [subsetsDiffer, exportToFits, selectorStaysHome],
  fields: {
    host: text('Name of the service; "*.domain" for several.', { required: true, check: wildcardHost }),
    trafficPolicy: { ...trafficPolicy, text: 'How traffic to the whole host is treated.' },
    subsets: groups('Parts of the workloads of the host.', subset, {
      use: enforced('waypoint: endpoints'),
    }),
    exportTo: texts('Namespaces whose clients the rule is for; all where absent.', audience),
    workloadSelector: { ...selectorAsWhole, text: 'The clients that the rule is for; all where absent.' },
  },
} as const satisfies ObjectField

export type DestinationRuleSpec = ValueOf<typeof destinationRuleSpec>
