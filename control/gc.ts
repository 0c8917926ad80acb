// The garbage collector: empties namespaces that are being deleted, and follows owner references (dependents go when their last
// owner is gone; `foregroundDeletion` waits for them, `orphan` cuts them off). Run by the leader; app.ts starts it.
import { setTimeout as pause } from 'node:timers/promises'
import { MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import { kindOf, kinds } from '../core/model/kinds.ts'
import { formatObjectKey, type MeshObject, type ObjectKey, type OwnerReference } from '../core/model/resource.ts'
import { foregroundFinalizer, isDeleting, namespaceFinalizer, orphanFinalizer } from './api/deletion.ts'
import { ApiError } from './api/errors.ts'
import type { Resources } from './api/resources.ts'
import { Dependents } from './gc-dependents.ts'
import type { Store, StoredObject } from './store/store.ts'

export interface GarbageCollectorDeps {
  readonly store: Store
  readonly resources: Resources
  readonly log: Logger
}

const retryMs = 1000

export class GarbageCollector {
  readonly #deps: GarbageCollectorDeps
  readonly #stopped = new AbortController()
  readonly #known = new Dependents()
  #running: Promise<void> = Promise.resolve()

  constructor(deps: GarbageCollectorDeps) {
    this.#deps = deps
  }

  /** Runs until the signal: whoever leads no more leaves it to the next leader. */
  start(until?: AbortSignal): void {
    const { signal } = this.#stopped
    const ends = until === undefined ? signal : AbortSignal.any([signal, until])
    this.#running = this.#running.then(() => this.#run(ends))
  }

  async close(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  /** Looks at everything, then at what changes; begins again where the store has lost the thread. */
  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#follow(signal)
      } catch (error: unknown) {
        if (signal.aborted) return
        this.#deps.log.warn({ err: error }, 'the garbage collector begins again')
        await pause(retryMs, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { items, revision } = await this.#deps.store.list({})
    this.#known.clear()
    for (const stored of items) this.#known.set(stored)
    for (const stored of items) {
      if (signal.aborted) return
      await this.#look(stored)
    }
    for await (const { type, stored } of this.#deps.store.watch({}, revision, signal)) {
      if (type === 'DELETED') {
        this.#known.delete(stored)
        await this.#afterDeletion(stored)
      } else {
        this.#known.set(stored)
        await this.#look(stored)
      }
    }
  }

  async #look({ key, object }: StoredObject): Promise<void> {
    if (isDeleting(object)) await this.#collect(key, object)
    else if (await this.#isHomeless(key)) await this.#delete(key)
    else if ((object.metadata.ownerReferences ?? []).length > 0) await this.#checkOwners(key, object)
  }

  /** Whoever waited for this object, or belonged to it. */
  async #afterDeletion({ key, object }: StoredObject): Promise<void> {
    for (const dependent of this.#known.of(object.metadata.uid)) await this.#lookAt(dependent)
    for (const owner of object.metadata.ownerReferences ?? []) {
      const found = this.#known.byUid(owner.uid)
      if (found !== undefined && !this.#isHeld(owner.uid)) await this.#lookAt(found)
    }
    // the last one out
    if (key.namespace !== '' && this.#known.inNamespace(key.namespace).length === 0) {
      await this.#lookAt(namespaceKey(key.namespace))
    }
  }

  async #lookAt(key: ObjectKey): Promise<void> {
    const stored = await this.#deps.store.get(key)
    if (stored !== undefined) await this.#look(stored)
  }

  /** What a marked object waits for that is the server's to do. */
  async #collect(key: ObjectKey, object: MeshObject): Promise<void> {
    const { finalizers = [], uid } = object.metadata
    if (finalizers.includes(orphanFinalizer)) {
      for (const dependent of this.#known.of(uid)) await this.#cutOff(dependent, new Set([uid]))
      await this.#release(key, orphanFinalizer)
    } else if (finalizers.includes(foregroundFinalizer)) {
      const dependents = this.#known.of(uid)
      for (const dependent of dependents) await this.#deleteDependent(dependent)
      if (!this.#isHeld(uid)) await this.#release(key, foregroundFinalizer)
    }
    if (key.kind === 'Namespace' && key.group === '') await this.#emptyNamespace(key)
  }

  /** Whether a dependent is left for which this owner must wait; in a circle of owners nobody would ever be first. */
  #isHeld(uid: string | undefined): boolean {
    const blocks = (owner: OwnerReference) => owner.uid === uid && owner.blockOwnerDeletion === true
    const holding = this.#known.of(uid).filter((dependent) => this.#known.ownersOf(dependent).some(blocks))
    if (holding.length === 0) return false
    const above = this.#known.above(uid)
    return holding.some((dependent) => !above.has(this.#known.uidOf(dependent)))
  }

  async #emptyNamespace(key: ObjectKey): Promise<void> {
    const contents = this.#known.inNamespace(key.name)
    for (const content of contents) if (!this.#known.isDeleting(content)) await this.#delete(content)
    const left = await this.#deps.store.list({ namespace: key.name }, { limit: 1 })
    if (left.items.length > 0) return
    await this.#deps.resources.release(key, (old) => {
      const finalizers = (old.spec?.['finalizers'] ?? []) as readonly string[]
      return { ...old, spec: { ...old.spec, finalizers: finalizers.filter((name) => name !== namespaceFinalizer) } }
    })
  }

  /** A write that came in while its namespace went. */
  async #isHomeless({ namespace }: ObjectKey): Promise<boolean> {
    const home = namespaceKey(namespace)
    if (namespace === '' || (this.#known.has(home) && !this.#known.isDeleting(home))) return false
    const stored = await this.#deps.store.get(home)
    return stored === undefined || isDeleting(stored.object)
  }

  /** An owner that is gone is dropped; an object without any left goes. Owners of kinds not served here are believed. */
  async #checkOwners(key: ObjectKey, object: MeshObject): Promise<void> {
    const owners = object.metadata.ownerReferences ?? []
    const gone = new Set<string>()
    const waiting: OwnerReference[] = []
    for (const owner of owners) {
      const found = await this.#owner(owner, key.namespace)
      if (found === 'gone') gone.add(owner.uid)
      else if (found === 'waits') waiting.push(owner)
    }
    if (gone.size === 0 && waiting.length === 0) return
    // an owner that waits for this object is no reason to stay, as long as there is no other
    if (gone.size + waiting.length === owners.length) await this.#deleteDependent(key)
    else await this.#cutOff(key, new Set([...gone, ...waiting.map(({ uid }) => uid)]))
  }

  /** `waits`: it is being deleted in the foreground. */
  async #owner(owner: OwnerReference, namespace: string): Promise<'there' | 'gone' | 'waits'> {
    const kind = kindOf(owner.apiVersion, owner.kind)
    if (kind === undefined) return 'there'
    const home = kind.namespaced ? namespace : ''
    const stored = await this.#deps.store.get({ group: kind.group, kind: kind.kind, namespace: home, name: owner.name })
    if (stored === undefined || stored.object.metadata.uid !== owner.uid) return 'gone'
    const { finalizers = [] } = stored.object.metadata
    return isDeleting(stored.object) && finalizers.includes(foregroundFinalizer) ? 'waits' : 'there'
  }

  /** In the foreground where it has dependents of its own, so that they go before it. */
  async #deleteDependent(key: ObjectKey): Promise<void> {
    const stored = await this.#deps.store.get(key)
    if (stored === undefined || isDeleting(stored.object)) return
    const others = this.#known.of(stored.object.metadata.uid)
    await this.#delete(key, others.length > 0 ? 'Foreground' : undefined, stored.object.metadata.uid)
  }

  async #delete(key: ObjectKey, propagation?: 'Foreground', uid?: string): Promise<void> {
    const kind = kindOfKey(key)
    if (kind === undefined) return
    const preconditions = uid === undefined ? {} : { preconditions: { uid } }
    const how = { ...preconditions, ...(propagation === undefined ? {} : { propagation }) }
    try {
      const { gone } = await this.#deps.resources.delete(kind, key.namespace, key.name, how)
      const told = gone ? 'deleted' : 'asked for the deletion of'
      this.#deps.log.info(`${told} ${formatObjectKey(key)}: its namespace or owner goes`)
    } catch (error: unknown) {
      // gone already, or another one of the same name; a conflict is seen again with the write that caused it
      const harmless = error instanceof ApiError && ['NotFound', 'Conflict'].includes(error.reason)
      if (!harmless && !(error instanceof MeshError && error.code === 'RESOURCE_CONFLICT')) throw error
    }
  }

  /** Takes references to these owners away. */
  async #cutOff(key: ObjectKey, uids: ReadonlySet<string | undefined>): Promise<void> {
    await this.#deps.resources.release(key, (old) => {
      const { ownerReferences = [], ...metadata } = old.metadata
      const left = ownerReferences.filter((owner) => !uids.has(owner.uid))
      return { ...old, metadata: { ...metadata, ...(left.length === 0 ? {} : { ownerReferences: left }) } }
    })
  }

  async #release(key: ObjectKey, finalizer: string): Promise<void> {
    await this.#deps.resources.release(key, (old) => {
      const { finalizers = [], ...metadata } = old.metadata
      const left = finalizers.filter((name) => name !== finalizer)
      return { ...old, metadata: { ...metadata, ...(left.length === 0 ? {} : { finalizers: left }) } }
    })
  }
}

function namespaceKey(name: string): ObjectKey {
  return { group: '', kind: 'Namespace', namespace: '', name }
}

function kindOfKey({ group, kind }: ObjectKey) {
  return kinds.find((row) => row.group === group && row.kind === kind)
}
