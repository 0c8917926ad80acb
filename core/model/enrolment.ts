// Which workloads the mesh captures, by labels: asked by the compile step, by the CLI and by the lab. And what labels of the
// mesh say that has no effect, for the field tables.
import { waypointLabelsWithoutEffect } from './waypoint-labels.ts'

type Labels = Readonly<Record<string, string>>

export const dataplaneMode = { own: 'culvert.dev/dataplane-mode', istio: 'istio.io/dataplane-mode' } as const

export type EnrolmentMode = 'ambient' | 'none'

/**
 * What the labels of one object ask for. Culvert's label goes before Istio's; a value that is neither of the two words counts
 * as absent, so that a slip of the pen on a workload does not take it out of an enrolled namespace.
 */
export function enrolmentMode(labels: Labels, istioLabels = true): EnrolmentMode | undefined {
  const own = wordOf(labels, dataplaneMode.own)
  return own ?? (istioLabels ? wordOf(labels, dataplaneMode.istio) : undefined)
}

function wordOf(labels: Labels, name: string): EnrolmentMode | undefined {
  const value = Object.hasOwn(labels, name) ? labels[name] : undefined
  return value === 'ambient' || value === 'none' ? value : undefined
}

/** Enrolled: the workload says `ambient`, or its namespace does and the workload does not say `none`. */
export function isEnrolled(workload: Labels, namespace: Labels, istioLabels = true): boolean {
  return (enrolmentMode(workload, istioLabels) ?? enrolmentMode(namespace, istioLabels)) === 'ambient'
}

/** What to tell of labels that were meant for the mesh and do nothing; undefined where all take effect. */
export function labelsWithoutEffect(labels: unknown): string | undefined {
  const values = labels as Labels
  const texts = Object.values(dataplaneMode)
    .filter((name) => Object.hasOwn(values, name) && wordOf(values, name) === undefined)
    .map((name) => `${name}: "${values[name]}" is neither ambient nor none and counts as absent`)
  texts.push(...waypointLabelsWithoutEffect(values))
  return texts.length === 0 ? undefined : texts.join('; ')
}
