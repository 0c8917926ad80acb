// Which waypoint objects ask for, and what a Gateway says of the waypoint that it declares: labels and annotations, read by the
// compile step, by the analyzer and by the field tables. Culvert's label goes before Istio's.
type Labels = Readonly<Record<string, string>>

export const useWaypoint = { own: 'culvert.dev/use-waypoint', istio: 'istio.io/use-waypoint' } as const
export const waypointFor = { own: 'culvert.dev/waypoint-for', istio: 'istio.io/waypoint-for' } as const
/** Istio's ingress gateways would pass through waypoints; there are none here. */
export const ingressUseWaypoint = 'istio.io/ingress-use-waypoint'
/** On a workload: the Gateway whose waypoint it is. */
export const gatewayName = 'gateway.networking.k8s.io/gateway-name'
/** Annotations of a Gateway. */
export const whenUnreachable = 'culvert.dev/waypoint-when-unreachable'
export const waypointBypass = 'culvert.dev/waypoint-bypass'

const traffic = ['service', 'workload', 'all', 'none'] as const
const unreachable = ['refuse', 'bypass'] as const
const bypass = ['refused', 'allowed'] as const

export type WaypointTraffic = (typeof traffic)[number]

export interface WaypointChoice {
  /** The label that says so. */
  readonly label: string
  readonly name: string
  /** Undefined: the namespace of the object. */
  readonly namespace?: string
}

/** What the labels of one object ask for; undefined: nothing, so its namespace decides. An empty value counts as absent. */
export function waypointChoice(labels: Labels, istioLabels = true): WaypointChoice | 'none' | undefined {
  return chosenBy(labels, useWaypoint.own) ?? (istioLabels ? chosenBy(labels, useWaypoint.istio) : undefined)
}

function chosenBy(labels: Labels, label: string): WaypointChoice | 'none' | undefined {
  const name = written(labels, label)
  if (name === undefined || name === 'none') return name
  const namespace = written(labels, `${label}-namespace`)
  return { label, name, ...(namespace === undefined ? {} : { namespace }) }
}

/** What traffic a waypoint takes by the labels of its Gateway; a value that is none of the words counts as absent. */
export function waypointTraffic(labels: Labels, istioLabels = true): WaypointTraffic {
  const own = wordOf(labels, waypointFor.own, traffic)
  return own ?? (istioLabels ? wordOf(labels, waypointFor.istio, traffic) : undefined) ?? 'service'
}

/** What the annotations of a Gateway say of traffic that does not pass its waypoint. Only the very word makes it laxer. */
export function waypointSafety(annotations: Labels) {
  return {
    whenUnreachable: wordOf(annotations, whenUnreachable, unreachable) ?? 'refuse',
    bypass: wordOf(annotations, waypointBypass, bypass) ?? 'refused',
  } as const
}

/** What to tell of labels about waypoints that do nothing. */
export function waypointLabelsWithoutEffect(labels: Labels): readonly string[] {
  const texts = Object.values(useWaypoint)
    .filter((label) => labels[label] === '')
    .map((label) => `${label} is empty and counts as absent`)
  const lonely = Object.values(useWaypoint)
    .filter((label) => written(labels, label) === undefined && written(labels, `${label}-namespace`) !== undefined)
    .map((label) => `${label}-namespace has no effect without ${label}`)
  if (Object.hasOwn(labels, ingressUseWaypoint) && labels[ingressUseWaypoint] !== 'false') {
    texts.push(`${ingressUseWaypoint} has no effect: this mesh has no ingress gateways that could use a waypoint`)
  }
  return [...texts, ...lonely, ...wrongWords(labels, Object.values(waypointFor), traffic)]
}

/** The same of annotations. */
export function waypointAnnotationsWithoutEffect(annotations: Labels): readonly string[] {
  return [
    ...wrongWords(annotations, [whenUnreachable], unreachable),
    ...wrongWords(annotations, [waypointBypass], bypass),
  ]
}

function wrongWords(values: Labels, names: readonly string[], words: readonly string[]): readonly string[] {
  return names
    .filter((name) => Object.hasOwn(values, name) && wordOf(values, name, words) === undefined)
    .map((name) => `${name}: "${values[name]}" is not one of ${words.join(', ')} and counts as absent`)
}

function wordOf<const Word extends string>(values: Labels, name: string, words: readonly Word[]): Word | undefined {
  return words.find((word) => word === written(values, name))
}

function written(values: Labels, name: string): string | undefined {
  const value = Object.hasOwn(values, name) ? values[name] : undefined
  return value === '' ? undefined : value
}
