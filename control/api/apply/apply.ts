// Server-side apply: a configuration laid over the live object, what its applier no longer lists taken away, and who owns what
// afterwards. The semantics are those of sigs.k8s.io/structured-merge-diff (`Updater.Apply`). Pure; resources.ts calls it.
import type { Field } from '../../../core/model/fields/field.ts'
import type { Kind } from '../../../core/model/kinds/kind.ts'
import { withoutNulls } from '../../../core/model/normalize.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { compare, isSameContent } from './compare.ts'
import { applyConflict } from './conflicts.ts'
import { difference, emptySet, equalSets, type FieldSet, intersection, isEmpty, union } from './field-set.ts'
import { beyondLastApplied, withLastApplied } from './last-applied.ts'
import { clashes, dispossessed, encodeOwners, type Owners, ownerId, tracked, type Writer } from './managers.ts'
import { merge, removeItems } from './merge.ts'
import { entriesOf, isSameOwners, partOf, storedOwners, type Tracking, withEntries } from './tracking.ts'
import { fieldSetOf, rootField, withNamedFields } from './typed.ts'

export type Configuration = Readonly<Record<string, unknown>>

export interface ApplyOptions extends Tracking {
  /** Takes fields from others instead of a conflict. */
  readonly force: boolean
}

/** The object that a first apply creates; every field of the configuration belongs to its applier. */
export function createdByApply(config: Configuration, { kind, writer, now }: Tracking): MeshObject {
  const object = writable(config, kind, false)
  const set = tracked(fieldSetOf(object, rootField(kind)))
  return withEntries(
    object as unknown as MeshObject,
    encodeOwners(new Map([[ownerId(writer), { ...writer, time: now, set }]])),
  )
}

/** The live object after the apply, with its owners. Throws Conflict with a cause per field that somebody else owns. */
export function applyConfiguration(live: MeshObject, config: Configuration, options: ApplyOptions): MeshObject {
  const { kind, writer, force, now } = options
  const root = rootField(kind)
  const status = writer.subresource === 'status'
  const written = writable(config, kind, status)
  const before = ownersBefore(live, options)
  const id = ownerId(writer)
  const held = before.get(id)
  const set = tracked(fieldSetOf(written, root))
  const owners: Owners = new Map(before).set(id, { ...writer, set })
  const merged = merge(live, written, root)
  const object = held === undefined ? merged : pruned(merged, held.set, owners, root)
  const change = compare(live, object, root)
  const found = clashes(owners, writer, change)
  const serious = force || found.length === 0 ? [] : beyondLastApplied(found, kind, live, writer)
  if (serious.length > 0) throw applyConflict(serious)
  const unchanged = isSameContent(change) && held !== undefined && equalSets(held.set, set)
  const time = unchanged ? held.time : now
  const after = new Map(dispossessed(owners, writer, change))
  if (isEmpty(set)) after.delete(id)
  else after.set(id, { ...writer, ...(time === undefined ? {} : { time }), set })
  const entries = isSameOwners(after, storedOwners(live)) ? entriesOf(live) : encodeOwners(after)
  return withLastApplied(withEntries(object as MeshObject, entries), written, writer)
}

/** The part of a configuration that may be written through this door. */
function writable(config: Configuration, kind: Kind, status: boolean): Configuration {
  const part = partOf(config as unknown as MeshObject, status) as Configuration
  return kind.nulls === 'absent' || status ? withoutNulls(part) : part
}

/** Who owned an object that was never tracked: somebody before the first apply owns all that stands there. */
const untrackedManager = 'before-first-apply'

function ownersBefore(live: MeshObject, { kind, writer, now }: Tracking): Owners {
  const owners = storedOwners(live)
  if (owners.size > 0) return owners
  const root = rootField(kind)
  const { added } = compare({}, partOf(live, false), root)
  const first: Writer = { manager: untrackedManager, operation: 'Update', apiVersion: writer.apiVersion }
  const set = tracked(added)
  return isEmpty(set) ? owners : new Map([[ownerId(first), { ...first, time: now, set }]])
}

/** `merged` without what the applier listed last time and nobody lists any more. */
function pruned(merged: unknown, last: FieldSet, owners: Owners, root: Field): unknown {
  if (isEmpty(last)) return merged
  const named = (set: FieldSet): FieldSet => withNamedFields(set, root)
  const setOf = (value: unknown): FieldSet => named(fieldSetOf(value, root))
  const all = setOf(merged)
  const without = setOf(removeItems(merged, named(last), root))
  const owned = named([...owners.values()].reduce((sum, { set }) => union(sum, set), emptySet))
  const kept = removeItems(merged, difference(all, union(without, owned)), root)
  // what hangs below something that went, but was never the applier's, stays
  return removeItems(merged, intersection(difference(all, setOf(kept)), named(last)), root)
}
