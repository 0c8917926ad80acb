// Where traffic goes by region, zone and subzone: the locality settings of a DestinationRule, with istiod's rules for them.
import { asWhole, type MapField, type ObjectCheck, type Report, type ValueCheck } from './field.ts'
import { flag, text, texts, uint32, whole } from './parts.ts'
import { notBlank } from './patterns.ts'
import { clip } from './rules.ts'
import { group, groups } from './shapes.ts'

/** `region/zone/subzone`, of which the last part that is given may be `*`. */
const locality: ValueCheck<string> = (value) => {
  const parts = value.split('/')
  if (parts.length > 3) return `"${clip(value)}" has more parts than region/zone/subzone`
  if (parts.some((part) => part === '')) return `"${clip(value)}" has an empty part: write region/zone/subzone`
  const wrong = parts.some((part, index) => part.includes('*') && (part !== '*' || index < parts.length - 1))
  return wrong ? `"${clip(value)}" has "*" elsewhere than as its last part, where it stands for all` : undefined
}

/** A name alone stands for all zones of the region, as `*` behind it does. */
function covers(outer: string, inner: string): boolean {
  const names = outer.split('/').filter((part) => part !== '*')
  return names.every((name, index) => inner.split('/')[index] === name)
}

const region: ValueCheck<string> = (value) => {
  if (value.includes('/')) return `"${clip(value)}" has a zone: failover is between regions, write the region alone`
  return value.includes('*') ? `"${clip(value)}" has a wildcard: name one region` : undefined
}

interface Distribution {
  readonly from?: string | null
  readonly to?: Readonly<Record<string, number>>
}

const sharesFit: ObjectCheck = (value, report) => {
  const { to = {} } = value as Distribution
  const sum = Object.values(to).reduce((total, share) => total + share, 0)
  if (sum !== 100) report(['to'], `has shares of ${sum} percent in sum: they must be 100`)
  const names = Object.keys(to)
  for (const name of names) {
    const outer = names.find((other) => other !== name && covers(other, name))
    if (outer !== undefined) report(['to', name], `lies within "${clip(outer)}", which has a share of its own`)
  }
}

interface Settings {
  readonly distribute?: readonly Distribution[]
  readonly failover?: readonly { readonly from?: string; readonly to?: string }[]
  readonly failoverPriority?: readonly string[]
}

const oneWay: ObjectCheck = (value, report) => {
  const { distribute = [], failover = [], failoverPriority = [] } = value as Settings
  if (distribute.length > 0 && failover.length > 0) report(['failover'], 'cannot be combined with distribute')
  sourcesApart(distribute, report)
  if (failover.length === 0) return
  for (const [index, label] of failoverPriority.entries()) {
    if (!topologyLabels.includes(label)) continue
    report(['failoverPriority', index], `"${label}" cannot be combined with failover: use one of them`)
  }
}

const topologyLabels: readonly string[] = [
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
]

/** The first that fits counts: one behind a wider one never would. */
function sourcesApart(distribute: readonly Distribution[], report: Report): void {
  // a null is as good as nothing
  const sources = distribute.map(({ from }) => from ?? undefined)
  for (const [index, from] of sources.entries()) {
    if (from === undefined) continue
    const wider = sources.slice(0, index).find((earlier) => earlier !== undefined && covers(earlier, from))
    if (wider === undefined) continue
    report(['distribute', index, 'from'], `is never reached: "${clip(wider)}" before it covers it`, 'duplicate')
  }
}

const regionsDiffer: ObjectCheck = ({ from = '', to = '' }, report) => {
  if (from === to) report(['to'], 'must be another region than from')
}

const switched = flag('Whether this holds; as the mesh is set where absent.')

const failover = groups(
  'Which region takes over where all of another are unhealthy.',
  group(
    'One region and its stand-in.',
    { from: text('Region of the caller.', { check: region }), to: text('Region that takes over.', { check: region }) },
    { checks: [regionsDiffer] },
  ),
)

const failoverPriority = texts(
  'Labels in the order of their weight: workloads that share more of them with the caller come first.',
  notBlank,
)

const shares = {
  type: 'map',
  text: 'Percent of the traffic by locality; 100 in sum.',
  use: asWhole,
  key: locality,
  value: whole('Percent.', 1, 100),
} as const satisfies MapField

export const localityLbSetting = group(
  'Which localities get the traffic of a caller.',
  {
    distribute: groups(
      'Shares of the localities by where the caller is.',
      group(
        'Shares of the traffic of one locality.',
        {
          from: text('Where the caller is: region/zone/subzone, or with "*" at the end.', { check: locality }),
          to: shares,
        },
        { checks: [sharesFit] },
      ),
    ),
    failover,
    failoverPriority,
    enabled: switched,
  },
  { checks: [oneWay] },
)

export const zoneAwareLbSetting = group(
  'Keeps traffic in the zone of the caller as far as the workloads there can bear it.',
  {
    enabled: switched,
    failover,
    failoverPriority,
    minClusterSize: whole('Fewest workloads for which zones count.', 1, uint32),
  },
  { checks: [oneWay] },
)
