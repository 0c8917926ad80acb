// Every object of the live mesh as the analyzer looks things up, kept by following the store: for the condition ResolvedRefs, and for
// what is said to somebody who writes an object. One per control plane.
import { findingsOf } from '../../core/analyze/analyze.ts'
import { Inventory, type InventorySettings } from '../../core/analyze/inventory.ts'
import { reaches, severityOf } from '../../core/analyze/messages.ts'
import { formatPath } from '../../core/model/problem.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { objectKeyOf } from '../../core/model/validate-set.ts'
import type { StoreListener } from '../store/follower.ts'
import type { StoredObject, StoreEvent } from '../store/store.ts'

export class MeshInventory implements StoreListener {
  readonly objects: Inventory
  #held = new Map<string, MeshObject>()

  constructor(settings: Omit<InventorySettings, 'complete'>) {
    this.objects = new Inventory({ ...settings, complete: true })
  }

  reset(objects: ReadonlyMap<string, StoredObject>): void {
    for (const object of this.#held.values()) this.objects.delete(object)
    this.#held = new Map()
    for (const [key, { object }] of objects) this.#set(key, object)
  }

  changed(key: string, { type, stored }: StoreEvent): void {
    if (type !== 'DELETED') this.#set(key, stored.object)
    else {
      this.objects.delete(stored.object)
      this.#held.delete(key)
    }
  }

  /** What is likely wrong with an object that somebody writes, in the light of what is there: for Warning headers. */
  advise(object: MeshObject): readonly string[] {
    const { group, kind, namespace, name } = objectKeyOf(object)
    const held = this.objects.find(kind, group, namespace, name)
    this.objects.set(object)
    try {
      return findingsOf(object, this.objects)
        .filter(({ code }) => code !== 'IgnoredField' && reaches(severityOf(code), 'warning'))
        .map(({ at, message, remedy }) => `${formatPath(at)}: ${message}; ${remedy}`)
    } finally {
      if (held === undefined) this.objects.delete(object)
      else this.objects.set(held)
    }
  }

  #set(key: string, object: MeshObject): void {
    this.#held.set(key, object)
    this.objects.set(object)
  }
}
