// Which endpoints go together, in which order and with which share, by where they are (Istio's localityLbSetting on Envoy's priorities
// and locality weights). Pure; balancer.ts asks on each change of the set.

import type { Endpoint, Locality } from './endpoint-table.ts'

export interface LocalityPolicy {
  /** Where the caller (or the waypoint that stands for it) is. */
  readonly from: Locality
  /** Its labels, for `failoverPriority`. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Shares by locality (`region/zone/*`, `*`); the first entry for the caller's locality counts, and no failover then. */
  readonly distribute?: readonly { readonly from: string; readonly to: Readonly<Record<string, number>> }[] | undefined
  /** Which region comes before the other foreign ones. */
  readonly failover?: readonly { readonly from: string; readonly to: string }[] | undefined
  /** `label` or `label=value`: who agrees in the first n of them comes before who agrees in fewer. */
  readonly failoverPriority?: readonly string[] | undefined
}

/** Endpoints that are alike by place. */
export interface Lane {
  /** 0 first; a later one gets what the earlier ones cannot bear. */
  readonly priority: number
  /** Among the lanes of one priority. */
  readonly weight: number
  readonly members: readonly Endpoint[]
}

/** Lanes in the order of their priority, without gaps. Endpoints in localities that `distribute` does not name get nothing. */
export function lanesOf(members: readonly Endpoint[], policy: LocalityPolicy | undefined): readonly Lane[] {
  if (members.length === 0) return []
  if (policy === undefined) return [{ priority: 0, weight: 1, members }]
  if (policy.distribute !== undefined && policy.distribute.length > 0) return distributed(members, policy)
  const groups = Map.groupBy(members, (endpoint) => rank(endpoint, policy))
  return [...groups].sort(([a], [b]) => a - b).map(([, group], priority) => ({ priority, weight: 1, members: group }))
}

function distributed(members: readonly Endpoint[], { distribute = [], from }: LocalityPolicy): readonly Lane[] {
  const rule = distribute.find((each) => matches(from, each.from))
  if (rule === undefined) return [{ priority: 0, weight: 1, members }]
  const left = new Set(members)
  // Of several patterns that match an endpoint the most exact counts, whatever their order in the map.
  const patterns = Object.entries(rule.to).sort(([a], [b]) => exactness(b) - exactness(a))
  return patterns.flatMap(([pattern, weight]) => {
    const group = [...left].filter(({ facts }) => matches(facts.locality, pattern))
    for (const endpoint of group) left.delete(endpoint)
    return group.length === 0 || weight <= 0 ? [] : [{ priority: 0, weight, members: group }]
  })
}

function exactness(pattern: string): number {
  return pattern.split('/').filter((part) => part !== '*').length
}

/** `region/zone/subzone`, where `*` stands for this and all below, and what is not named may be anything. */
function matches(locality: Locality | undefined, pattern: string): boolean {
  if (pattern === '*') return true
  const parts = [locality?.region, locality?.zone, locality?.subzone]
  for (const [index, part] of pattern.split('/').entries()) {
    if (part === '*') return true
    if (part !== (parts[index] ?? '') && (part !== '' || index === 0)) return false
  }
  return true
}

/** Istio: the label ranks first, the place within them only where `failover` is given too; each rank of places is one of five. */
function rank(endpoint: Endpoint, policy: LocalityPolicy): number {
  const labels = policy.failoverPriority ?? []
  if (labels.length === 0) return placeRank(endpoint, policy)
  const rankOfLabels = labelRank(endpoint, labels, policy.labels ?? {})
  return rankOfLabels * 5 + ((policy.failover?.length ?? 0) > 0 ? placeRank(endpoint, policy) : 0)
}

function labelRank({ facts }: Endpoint, names: readonly string[], own: Readonly<Record<string, string>>): number {
  const agreed = names.findIndex((entry) => {
    const [name = '', value] = entry.split('=', 2)
    return (value ?? own[name] ?? '') !== (facts.labels?.[name] ?? '')
  })
  return agreed < 0 ? 0 : names.length - agreed
}

function placeRank({ facts }: Endpoint, { from, failover = [] }: LocalityPolicy): number {
  const { locality } = facts
  if (locality?.region === from.region) {
    if (locality.zone !== from.zone) return 2
    return locality.subzone === from.subzone ? 0 : 1
  }
  const rule = failover.find((each) => each.from === from.region)
  return rule === undefined || rule.to === locality?.region ? 3 : 4
}

/** Envoy's overprovisioning factor: with up to 28 % of a priority gone the rest bears all of it. */
const overprovisioning = 1.4

/**
 * The share of each lane, 1 in sum; all 0 where nobody may serve (no panic mode).
 * @param available whether an endpoint may serve
 */
export function sharesOf(lanes: readonly Lane[], available: (endpoint: Endpoint) => boolean): readonly number[] {
  const health = lanes.map(({ members }) => members.filter(available).length * overprovisioning)
  const levels = (lanes.at(-1)?.priority ?? -1) + 1
  const bears = Array.from({ length: levels }, (_, level) => {
    const [able, all] = lanes.reduce(
      ([sum, count], { priority, members }, index) =>
        priority === level ? [sum + health[index]!, count + members.length] : [sum, count],
      [0, 0],
    )
    return Math.min(1, able / all)
  })
  const total = Math.min(
    1,
    bears.reduce((sum, each) => sum + each, 0),
  )
  if (total === 0) return lanes.map(() => 0)
  let left = 1
  const loads = bears.map((each) => {
    const load = Math.min(left, each / total)
    left -= load
    return load
  })
  const weights = lanes.map(({ weight, members }, index) => weight * Math.min(1, health[index]! / members.length))
  return lanes.map(({ priority }, index) => {
    const sum = lanes.reduce((all, lane, each) => (lane.priority === priority ? all + weights[each]! : all), 0)
    return sum === 0 ? 0 : (loads[priority]! * weights[index]!) / sum
  })
}
