// Selection and precedence, shared by all kinds.
import type { MeshObject } from '../../../core/model/resource.ts'
import { nameOf } from './conditions.ts'

type Labels = Readonly<Record<string, string>>

/** Whether `labels` carry all of `selector`. An empty selector selects everything: callers decide whether that is meant. */
export function selects(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value)
}

export function isEmpty(labels: Labels | undefined): boolean {
  return labels === undefined || Object.keys(labels).length === 0
}

/** The older first, then by name: of two that claim the same, the first wins, whatever order they were read in. */
export function olderFirst(a: MeshObject, b: MeshObject): number {
  const [at = '', bt = ''] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp]
  if (at !== bt) return at < bt ? -1 : 1
  return nameOf(a) < nameOf(b) ? -1 : 1
}

export function annotation(object: MeshObject, name: string): string | undefined {
  const annotations = object.metadata.annotations
  return annotations !== undefined && Object.hasOwn(annotations, name) ? annotations[name] : undefined
}
