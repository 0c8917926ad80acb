// What a DestinationRule asks for beyond Istio's API, in annotations: balancing by latency, outlier detection by success rate. Read by the
// compile step and, for values that mean nothing, by the field tables.
import type { SuccessRate } from './destinations.ts'

export const loadBalancingName = 'culvert.dev/load-balancing'
export const successRateName = 'culvert.dev/outlier-success-rate'
const hostsName = `${successRateName}-hosts`
const requestsName = `${successRateName}-requests`

type Annotations = Readonly<Record<string, string>>

export interface DestinationExtras {
  readonly balancing?: 'peak-ewma'
  readonly successRate?: SuccessRate
}

/** Bounds of each number and what it is where absent: Envoy's. */
const numbers = {
  [successRateName]: { least: 0.1, most: 100, otherwise: undefined },
  [hostsName]: { least: 2, most: 10_000, otherwise: 5 },
  [requestsName]: { least: 1, most: 1_000_000, otherwise: 100 },
} as const

/** Undefined where they ask for nothing. A value that means nothing counts as absent. */
export function destinationExtras(annotations: Annotations): DestinationExtras | undefined {
  const balancing = annotations[loadBalancingName] === 'peak-ewma' ? ({ balancing: 'peak-ewma' } as const) : undefined
  const deviations = numberOf(annotations, successRateName)
  if (deviations === undefined) return balancing
  const minimumHosts = numberOf(annotations, hostsName) ?? numbers[hostsName].otherwise
  const requestVolume = numberOf(annotations, requestsName) ?? numbers[requestsName].otherwise
  return { ...balancing, successRate: { deviations, minimumHosts, requestVolume } }
}

/** What to tell of values that mean nothing. */
export function destinationAnnotationsWithoutEffect(annotations: Annotations): readonly string[] {
  const balancing = written(annotations, loadBalancingName)
  const wrong =
    balancing === undefined || balancing === 'peak-ewma'
      ? []
      : [`${loadBalancingName}: "${balancing}" is not peak-ewma and counts as absent`]
  const names = Object.keys(numbers) as (keyof typeof numbers)[]
  const outside = names
    .filter((name) => written(annotations, name) !== undefined && numberOf(annotations, name) === undefined)
    .map((name) => {
      const { least, most } = numbers[name]
      return `${name}: "${annotations[name]}" is no number from ${least} to ${most} and counts as absent`
    })
  const lonely = [hostsName, requestsName]
    .filter((name) => written(annotations, name) !== undefined && written(annotations, successRateName) === undefined)
    .map((name) => `${name} has no effect without ${successRateName}`)
  return [...wrong, ...outside, ...lonely]
}

function numberOf(annotations: Annotations, name: keyof typeof numbers): number | undefined {
  const text = written(annotations, name)
  if (text === undefined || !/^\d{1,7}(\.\d{1,3})?$/.test(text)) return undefined
  const { least, most } = numbers[name]
  const value = Number(text)
  return value >= least && value <= most ? value : undefined
}

function written(annotations: Annotations, name: string): string | undefined {
  return Object.hasOwn(annotations, name) ? annotations[name] : undefined
}
