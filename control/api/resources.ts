// Every write and read of resources, whoever asks: HTTP, the --config directory, agents' reports. Validation, server metadata,
// preconditions and the rules between objects hold here, under one lock, so that nothing is half applied.
import { randomBytes, randomUUID } from 'node:crypto'
import { namespaceKind } from '../../core/model/kinds/core.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import type { Condition, MeshObject, ObjectKey } from '../../core/model/resource.ts'
import type { Store, StoredObject } from '../store/store.ts'
import { type Birth, checkPreconditions, isSame, nameFor, newObject, updatedObject } from './admission.ts'
import { applyConfiguration, type Configuration, createdByApply } from './apply/apply.ts'
import type { Writer } from './apply/managers.ts'
import { type Tracking, withEntries, withOwners } from './apply/tracking.ts'
import { ClaimIndex } from './claims.ts'
import {
  checkFinalizers,
  type Deleted,
  type DeletionOptions,
  isDeleting,
  isFinished,
  markedForDeletion,
  terminatingNamespace,
} from './deletion.ts'
import { ApiError, alreadyExists, conflict, invalid, notFound } from './errors.ts'
import { immutableProblems } from './immutable.ts'
import { checked, keyFor, keyOf, type Preconditions, preconditionsOf, sameObject, warningsOf } from './input.ts'
import { everything, type Predicate } from './selectors.ts'
import { checkSize } from './size.ts'
import { WriteLock } from './write-lock.ts'

export interface ResourcesDeps {
  readonly store: Store
  /** Gives a Service its virtual IPs; must leave those that it has, and must not write through Resources (it holds the lock). */
  readonly allocate: (service: MeshObject) => Promise<MeshObject>
  /** Namespaces that cannot be deleted. */
  readonly protectedNamespaces?: readonly string[]
  /** Kept up to date by whoever follows the store; without it, this process is the only one that writes. */
  readonly claims?: ClaimIndex
  /** Tells what is likely a mistake, as warnings. */
  readonly advise?: (object: MeshObject) => readonly string[]
  readonly now?: () => number
}

export interface WriteOptions {
  /** Everything but the write itself. */
  readonly dryRun?: boolean
  /** Who owns what is written, `metadata.managedFields`; the control plane itself where absent. */
  readonly manager?: string
}

export interface ApplyWrite extends WriteOptions {
  readonly manager: string
  /** Takes fields from other managers instead of a conflict. */
  readonly force: boolean
}

export interface Written {
  readonly object: MeshObject
  /** Fields of the input that have no effect, for Warning headers. */
  readonly warnings: readonly string[]
}

export type ObjectStatus = NonNullable<MeshObject['status']>

/** Letters and digits that make no words (apimachinery, `rand.String`). */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789'

/** Owner of what the control plane writes by itself: reports of hosts, status, the objects of a --config directory. */
const ownManager = 'culvert'

export class Resources {
  readonly #store: Store
  readonly #deps: ResourcesDeps
  readonly #claims: ClaimIndex
  readonly #lock = new WriteLock()

  constructor(deps: ResourcesDeps) {
    this.#deps = deps
    this.#store = deps.store
    this.#claims = deps.claims ?? new ClaimIndex(deps.store)
  }

  /** Throws NotFound. */
  async get(kind: Kind, namespace: string, name: string): Promise<MeshObject> {
    return (await this.#stored(kind, namespace, name)).object
  }

  /** Objects of a kind, in one namespace or all, and the revision from which a watch may continue. */
  async list(kind: Kind, namespace?: string, fits: Predicate = everything) {
    const scope = namespace === undefined ? {} : { namespace }
    const { items, revision } = await this.#store.list({ group: kind.group, kind: kind.kind, ...scope })
    return { items: items.map(({ object }) => object).filter(fits), revision }
  }

  /** Throws Invalid, AlreadyExists, NotFound (its namespace). */
  create(input: MeshObject, options: WriteOptions = {}): Promise<Written> {
    return this.#lock.exclusive(() => this.#create(input, options))
  }

  /** Replaces spec, labels and annotations. Conditional where the input has a resourceVersion or uid. */
  update(input: MeshObject, options: WriteOptions = {}): Promise<Written> {
    return this.#lock.exclusive(async () => this.#update(await this.#current(input), input, options))
  }

  /** Creates the object, or updates it where it exists; writes nothing where it is the same. */
  apply(input: MeshObject, options: WriteOptions = {}): Promise<Written> {
    return this.#lock.exclusive(async () => {
      const kind = checked(input)
      const { namespace = '', name } = input.metadata
      const current = name === undefined ? undefined : await this.#store.get(keyFor(kind, namespace, name))
      return current === undefined ? this.#create(input, options) : this.#update(current.object, input, options)
    })
  }

  /** Updates the object with what `change` makes of it, without anybody writing in between. */
  modify(
    kind: Kind,
    namespace: string,
    name: string,
    change: (old: MeshObject) => MeshObject,
    options: WriteOptions = {},
  ) {
    return this.#lock.exclusive(async () => {
      const { object } = await this.#stored(kind, namespace, name)
      const input = change(object)
      sameObject(kind, object, input)
      return this.#update(object, input, options)
    })
  }

  /** Replaces the status with what `change` makes of it; undefined leaves it. The only way to write a status. */
  modifyStatus(
    kind: Kind,
    namespace: string,
    name: string,
    change: (old: MeshObject) => ObjectStatus | undefined,
    options: WriteOptions & { readonly preconditions?: Preconditions } = {},
  ): Promise<MeshObject> {
    return this.#lock.exclusive(async () => {
      const { object, revision, key } = await this.#stored(kind, namespace, name)
      checkPreconditions(kind, object, options.preconditions ?? {})
      const status = change(object)
      if (status === undefined) return object
      const writer = updater(object.apiVersion, options, 'status')
      const updated = withOwners(object, { ...object, status }, undefined, this.#tracking(kind, writer))
      if (isSame(object, updated)) return object
      checkSize(updated)
      if (options.dryRun === true) return atRevisionOf(object, updated)
      return (await this.#store.update(key, updated, revision)).object
    })
  }

  /**
   * Server-side apply: lays the configuration over the object, or creates it. Throws Conflict with a cause per field of others, and
   * what `create` and `update` throw.
   */
  applyConfiguration(kind: Kind, namespace: string, name: string, config: Configuration, options: ApplyWrite) {
    return this.#lock.exclusive(async (): Promise<Written & { readonly created: boolean }> => {
      const stored = await this.#store.get(keyFor(kind, namespace, name))
      checkApplied(kind, stored?.object, name, config)
      const tracking = this.#tracking(kind, applier(String(config['apiVersion']), options))
      if (stored === undefined) {
        return { ...(await this.#create(createdByApply(config, tracking), options, true)), created: true }
      }
      const input = applyConfiguration(stored.object, config, { ...tracking, force: options.force })
      return { ...(await this.#update(stored.object, input, options, true)), created: false }
    })
  }

  /** Server-side apply of `status` alone; `checkStatus` says what is wrong with the outcome. Throws NotFound, Conflict. */
  applyStatus(
    kind: Kind,
    namespace: string,
    name: string,
    config: Configuration,
    options: ApplyWrite & { readonly checkStatus: (status: unknown) => ObjectStatus },
  ): Promise<MeshObject> {
    return this.#lock.exclusive(async () => {
      const { object, revision, key } = await this.#stored(kind, namespace, name)
      checkApplied(kind, object, name, config)
      const tracking = this.#tracking(kind, applier(String(config['apiVersion']), options, 'status'))
      const { status, metadata } = applyConfiguration(object, config, { ...tracking, force: options.force })
      const updated = { ...object, metadata, status: options.checkStatus(status) }
      if (isSame(object, updated)) return object
      checkSize(updated)
      if (options.dryRun === true) return atRevisionOf(object, updated)
      return (await this.#store.update(key, updated, revision)).object
    })
  }

  /** Replaces the conditions, keeping the transition times of those whose status stays. */
  setConditions(kind: Kind, namespace: string, name: string, conditions: readonly Condition[]): Promise<MeshObject> {
    return this.modifyStatus(kind, namespace, name, (old) => {
      const before = new Map((old.status?.conditions ?? []).map((condition) => [condition.type, condition]))
      const stamped = conditions.map((condition) => {
        const earlier = before.get(condition.type)
        const lastTransitionTime = earlier?.status === condition.status ? earlier.lastTransitionTime : undefined
        return { ...condition, lastTransitionTime: lastTransitionTime ?? this.#timestamp() }
      })
      return { ...old.status, conditions: stamped }
    })
  }

  /**
   * Deletes the object, or marks it where finalizers hold it (the garbage collector empties namespaces and follows owners). Throws
   * NotFound, Forbidden (protected namespaces), Conflict.
   */
  delete(kind: Kind, namespace: string, name: string, options: DeletionOptions = {}): Promise<Deleted> {
    return this.#lock.exclusive(async () => {
      const stored = await this.#stored(kind, namespace, name)
      checkPreconditions(kind, stored.object, options.preconditions ?? {})
      if (kind.kind === namespaceKind.kind && kind.group === '') this.#checkProtected(name)
      const marked = markedForDeletion(stored.object, options, this.#timestamp())
      const gone = isFinished(marked)
      if (options.dryRun === true) return { object: gone ? stored.object : marked, gone }
      if (gone) return { object: await this.#remove(stored), gone }
      if (isSame(stored.object, marked)) return { object: stored.object, gone }
      return { object: (await this.#store.update(stored.key, marked, stored.revision)).object, gone }
    })
  }

  /** Deletes these one by one; returns what was deleted. */
  async deleteAll(kind: Kind, objects: readonly MeshObject[], options: DeletionOptions = {}) {
    const deleted: MeshObject[] = []
    for (const { metadata } of objects) {
      try {
        deleted.push((await this.delete(kind, metadata.namespace ?? '', metadata.name, options)).object)
      } catch (error: unknown) {
        // somebody else was quicker
        if (!(error instanceof ApiError && error.reason === 'NotFound')) throw error
      }
    }
    return deleted
  }

  /**
   * Lets the garbage collector take finalizers and owners away, without looking at the rest of the object; undefined leaves it. The
   * object goes where nothing holds it any more. Throws NotFound.
   */
  release(key: ObjectKey, change: (old: MeshObject) => MeshObject | undefined): Promise<void> {
    return this.#lock.exclusive(async () => {
      const stored = await this.#store.get(key)
      const changed = stored === undefined ? undefined : change(stored.object)
      if (stored === undefined || changed === undefined) return
      if (isFinished(changed)) await this.#remove(stored)
      else if (!isSame(stored.object, changed)) await this.#store.update(key, changed, stored.revision)
    })
  }

  /** `owned`: the input says who owns its fields. */
  async #create(input: MeshObject, options: WriteOptions, owned = false): Promise<Written> {
    const kind = checked(input)
    const named = { ...input, metadata: { ...input.metadata, name: nameFor(input, this.#birth()) } }
    const { namespace = '', name } = named.metadata
    if (kind.namespaced && namespace === '')
      throw new ApiError('BadRequest', `${kind.kind} "${name}" needs a namespace`)
    if (kind.namespaced) {
      const home = await this.#stored(namespaceKind, '', namespace)
      if (isDeleting(home.object)) throw terminatingNamespace(kind, name, namespace)
    }
    const key = keyFor(kind, namespace, name)
    if ((await this.#store.get(key)) !== undefined) throw alreadyExists(kind, name)
    const born = this.#owned(kind, undefined, newObject(named, kind, this.#birth()), input, options, owned)
    const object = await this.#placed(kind, born, options)
    const warnings = this.#warnings(object, options)
    if (options.dryRun === true) return { object, warnings }
    checkSize(object)
    const stored = await this.#store.create(key, object)
    this.#claims.put(stored)
    return { object: stored.object, warnings }
  }

  async #current(input: MeshObject): Promise<MeshObject> {
    const kind = checked(input)
    return this.get(kind, input.metadata.namespace ?? '', input.metadata.name)
  }

  async #update(old: MeshObject, input: MeshObject, options: WriteOptions, owned = false): Promise<Written> {
    const kind = checked(input)
    checkPreconditions(kind, old, preconditionsOf(input))
    const updated = this.#owned(kind, old, updatedObject(old, input), input, options, owned)
    checkFinalizers(kind, old, updated)
    const immutable = immutableProblems(old, updated)
    if (immutable.length > 0) throw invalid(kind, old.metadata.name, immutable)
    const object = await this.#placed(kind, updated, options)
    const warnings = this.#warnings(object, options)
    if (isSame(old, object)) return { object: old, warnings }
    if (options.dryRun === true) return { object: atRevisionOf(old, object), warnings }
    const revision = Number(old.metadata.resourceVersion)
    if (isFinished(object)) {
      await this.#remove({ key: keyOf(kind, old), object: old, revision })
      return { object, warnings }
    }
    checkSize(object)
    const stored = await this.#store.update(keyOf(kind, old), object, revision)
    this.#claims.put(stored)
    return { object: stored.object, warnings }
  }

  /** What has no effect, and to others than the mesh itself what is likely a mistake. */
  #warnings(object: MeshObject, { manager }: WriteOptions): readonly string[] {
    return [...warningsOf(object), ...(manager === undefined ? [] : (this.#deps.advise?.(object) ?? []))]
  }

  /** With the owners of its fields. */
  #owned(
    kind: Kind,
    old: MeshObject | undefined,
    object: MeshObject,
    { apiVersion, metadata: { managedFields } }: MeshObject,
    options: WriteOptions,
    owned: boolean,
  ): MeshObject {
    if (owned) return withEntries(object, managedFields ?? [])
    return withOwners(old, object, managedFields, this.#tracking(kind, updater(apiVersion, options)))
  }

  /** With virtual IPs, and without an address that belongs to another object. */
  async #placed(kind: Kind, object: MeshObject, options: WriteOptions): Promise<MeshObject> {
    const allocates = kind.kind === 'Service' && options.dryRun !== true
    const clashes = await this.#claims.clashes(object)
    if (clashes.length > 0) throw invalid(kind, object.metadata.name, clashes)
    return allocates ? this.#deps.allocate(object) : object
  }

  #checkProtected(namespace: string): void {
    if (this.#deps.protectedNamespaces?.includes(namespace) !== true) return
    throw new ApiError('Forbidden', `namespaces "${namespace}" is forbidden: this namespace may not be deleted`)
  }

  async #remove(stored: StoredObject): Promise<MeshObject> {
    return (await this.#store.delete(stored.key, stored.revision)).object
  }

  async #stored(kind: Kind, namespace: string, name: string): Promise<StoredObject> {
    const stored = await this.#store.get(keyFor(kind, namespace, name))
    if (stored === undefined) throw notFound(kind, name)
    return stored
  }

  #birth(): Birth {
    const nameSuffix = Array.from(randomBytes(5), (byte) => suffixAlphabet[byte % suffixAlphabet.length]).join('')
    return { uid: randomUUID(), creationTimestamp: this.#timestamp(), nameSuffix }
  }

  #timestamp(): string {
    return new Date((this.#deps.now ?? Date.now)()).toISOString().replace(/\.\d+Z$/, 'Z')
  }

  #tracking(kind: Kind, writer: Writer): Tracking {
    return { kind, writer, now: this.#timestamp() }
  }
}

function updater(apiVersion: string, { manager = ownManager }: WriteOptions, subresource?: string): Writer {
  return { manager, operation: 'Update', apiVersion, ...(subresource === undefined ? {} : { subresource }) }
}

function applier(apiVersion: string, { manager }: ApplyWrite, subresource?: string): Writer {
  return { manager, operation: 'Apply', apiVersion, ...(subresource === undefined ? {} : { subresource }) }
}

/** What a trial answers: nothing was written, so the revision is the old one. */
function atRevisionOf({ metadata: { resourceVersion } }: MeshObject, object: MeshObject): MeshObject {
  return resourceVersion === undefined ? object : { ...object, metadata: { ...object.metadata, resourceVersion } }
}

/** The configuration must fit the object that is there, or that is not. */
function checkApplied(kind: Kind, live: MeshObject | undefined, name: string, config: Configuration): void {
  const wanted = preconditionsOf({ ...config, metadata: config['metadata'] ?? {} } as unknown as MeshObject)
  if (live !== undefined) checkPreconditions(kind, live, wanted)
  else if (wanted.uid !== undefined || wanted.resourceVersion !== undefined)
    throw conflict(kind, name, 'the object is gone, but uid or resourceVersion of the configuration ask for it')
}
