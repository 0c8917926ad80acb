// Every write and read of resources, whoever asks: HTTP, the --config directory, agents' reports. Validation, server metadata,
// preconditions and the rules between objects hold here, under one lock, so that nothing is half applied.
import { randomBytes, randomUUID } from 'node:crypto'
import { ignoredFields } from '../../core/model/ignored.ts'
import { namespaceKind } from '../../core/model/kinds/core.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import { kindOf } from '../../core/model/kinds.ts'
import { formatPath, type Problem } from '../../core/model/problem.ts'
import type { Condition, MeshObject, ObjectKey } from '../../core/model/resource.ts'
import { validateObject } from '../../core/model/validate.ts'
import type { Store, StoredObject } from '../store/store.ts'
import { type Birth, checkPreconditions, isSame, nameFor, newObject, updatedObject } from './admission.ts'
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
import { ApiError, alreadyExists, invalid, notFound } from './errors.ts'
import { immutableProblems } from './immutable.ts'
import { everything, type Predicate } from './selectors.ts'

export interface ResourcesDeps {
  readonly store: Store
  /** Gives a Service its virtual IPs; must leave those that it has, and must not write through Resources (it holds the lock). */
  readonly allocate: (service: MeshObject) => Promise<MeshObject>
  /** Namespaces that cannot be deleted. */
  readonly protectedNamespaces?: readonly string[]
  /** Kept up to date by whoever follows the store; without it, this process is the only one that writes. */
  readonly claims?: ClaimIndex
  readonly now?: () => number
}

export interface WriteOptions {
  /** Everything but the write itself. */
  readonly dryRun?: boolean
}

export interface Written {
  readonly object: MeshObject
  /** Fields of the input that have no effect, for Warning headers. */
  readonly warnings: readonly string[]
}

export interface Preconditions {
  readonly uid?: string
  readonly resourceVersion?: string
}

export type ObjectStatus = NonNullable<MeshObject['status']>

/** Letters and digits that make no words (apimachinery, `rand.String`). */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789'

export class Resources {
  readonly #store: Store
  readonly #deps: ResourcesDeps
  readonly #claims: ClaimIndex
  #lock: Promise<unknown> = Promise.resolve()

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
    return this.#exclusive(() => this.#create(input, options))
  }

  /** Replaces spec, labels and annotations. Conditional where the input has a resourceVersion or uid. */
  update(input: MeshObject, options: WriteOptions = {}): Promise<Written> {
    return this.#exclusive(async () => this.#update(await this.#current(input), input, options))
  }

  /** Creates the object, or updates it where it exists; writes nothing where it is the same. */
  apply(input: MeshObject, options: WriteOptions = {}): Promise<Written> {
    return this.#exclusive(async () => {
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
    return this.#exclusive(async () => {
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
    return this.#exclusive(async () => {
      const { object, revision, key } = await this.#stored(kind, namespace, name)
      checkPreconditions(kind, object, options.preconditions ?? {})
      const status = change(object)
      if (status === undefined) return object
      const updated = { ...object, status }
      if (isSame(object, updated) || options.dryRun === true) return updated
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
    return this.#exclusive(async () => {
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
    return this.#exclusive(async () => {
      const stored = await this.#store.get(key)
      const changed = stored === undefined ? undefined : change(stored.object)
      if (stored === undefined || changed === undefined) return
      if (isFinished(changed)) await this.#remove(stored)
      else if (!isSame(stored.object, changed)) await this.#store.update(key, changed, stored.revision)
    })
  }

  async #create(input: MeshObject, options: WriteOptions): Promise<Written> {
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
    const object = await this.#placed(kind, newObject(named, kind, this.#birth()), options)
    const warnings = warningsOf(object)
    if (options.dryRun === true) return { object, warnings }
    const stored = await this.#store.create(key, object)
    this.#claims.put(stored)
    return { object: stored.object, warnings }
  }

  async #current(input: MeshObject): Promise<MeshObject> {
    const kind = checked(input)
    return this.get(kind, input.metadata.namespace ?? '', input.metadata.name)
  }

  async #update(old: MeshObject, input: MeshObject, options: WriteOptions): Promise<Written> {
    const kind = checked(input)
    checkPreconditions(kind, old, preconditionsOf(input))
    const updated = updatedObject(old, input)
    checkFinalizers(kind, old, updated)
    const immutable = immutableProblems(old, updated)
    if (immutable.length > 0) throw invalid(kind, old.metadata.name, immutable)
    const object = await this.#placed(kind, updated, options)
    const warnings = warningsOf(object)
    if (isSame(old, object) || options.dryRun === true) return { object: isSame(old, object) ? old : object, warnings }
    const revision = Number(old.metadata.resourceVersion)
    if (isFinished(object)) {
      await this.#remove({ key: keyOf(kind, old), object: old, revision })
      return { object, warnings }
    }
    const stored = await this.#store.update(keyOf(kind, old), object, revision)
    this.#claims.put(stored)
    return { object: stored.object, warnings }
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

  /** One write at a time: the checks between objects must see what they are checked against. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lock.then(work)
    this.#lock = result.catch(() => undefined)
    return result
  }
}

function keyFor(kind: Kind, namespace: string, name: string): ObjectKey {
  return { group: kind.group, kind: kind.kind, namespace: kind.namespaced ? namespace : '', name }
}

function keyOf(kind: Kind, object: MeshObject): ObjectKey {
  return keyFor(kind, object.metadata.namespace ?? '', object.metadata.name)
}

/** The kind of a valid object. Throws Invalid with a cause per problem. */
function checked(input: MeshObject): Kind {
  const problems: readonly Problem[] = validateObject(input)
  const kind = kindOf(input.apiVersion, input.kind)
  if (problems.length === 0 && kind !== undefined) return kind
  if (kind === undefined) throw new ApiError('BadRequest', problems.map(({ message }) => message).join('; '))
  throw invalid(kind, input.metadata?.name ?? '', problems)
}

function preconditionsOf(input: MeshObject): Preconditions {
  const { uid, resourceVersion } = input.metadata
  return { ...(uid === undefined ? {} : { uid }), ...(resourceVersion === undefined ? {} : { resourceVersion }) }
}

/** A patch may not turn an object into another one. */
function sameObject(kind: Kind, old: MeshObject, input: MeshObject): void {
  for (const field of ['name', 'namespace'] as const) {
    if (input.metadata?.[field] === old.metadata[field]) continue
    const at = formatPath(['metadata', field])
    throw new ApiError('BadRequest', `${at} of ${kind.kind} "${old.metadata.name}" cannot be changed`)
  }
}

function warningsOf(object: MeshObject): readonly string[] {
  return ignoredFields(object).map(({ path, text }) => `${path}: ${text}`)
}
