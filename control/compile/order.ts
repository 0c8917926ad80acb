// Selection and precedence, shared by all kinds.
import type { MeshObject } from '../../core/model/resource.ts'
import { nameOf } from './conditions.ts'
import type { Scope } from './rule.ts'
import { byAge, type Offer, topic } from './topics.ts'

export type Labels = Readonly<Record<string, string>>

/** Whether `labels` carry all of `selector`. An empty selector selects everything: callers decide whether that is meant. */
export function selects(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value)
}

export function isEmpty(labels: Labels | undefined): boolean {
  return labels === undefined || Object.keys(labels).length === 0
}

/** The older first, then by name: of two that claim the same, the first wins, whatever order they were read in. */
export function orderOf(object: MeshObject): string {
  return `${object.metadata.creationTimestamp ?? ''}\0${nameOf(object)}`
}

export function annotation(object: MeshObject, name: string): string | undefined {
  const annotations = object.metadata.annotations
  return annotations !== undefined && Object.hasOwn(annotations, name) ? annotations[name] : undefined
}

/** Stands for all namespaces. */
export const everywhere = '*'

/**
 * Objects that select workloads by labels. Each is offered under one label of its selector, so a workload finds whatever may
 * select it by looking under its own labels, however many selectors there are.
 */
export class Selectors<Value extends { readonly selector: Labels }> {
  readonly #under: ReturnType<typeof topic<Value>>

  constructor(family: string) {
    this.#under = topic<Value>(family)
  }

  /** `value.selector` must not be empty. */
  offer(scope: Scope, namespace: string, value: Value): void {
    const [[name, label] = ['', '']] = Object.entries(value.selector)
    scope.offer(this.#under(namespace, name, label), value)
  }

  /** What selects `labels` in `namespace`, the oldest first. */
  selecting(scope: Scope, namespace: string, labels: Labels): readonly Offer<Value>[] {
    const found: Offer<Value>[] = []
    for (const [name, label] of Object.entries(labels)) {
      for (const offer of scope.read(this.#under(namespace, name, label))) {
        if (selects(offer.value.selector, labels)) found.push(offer)
      }
    }
    return found.sort(byAge)
  }
}
