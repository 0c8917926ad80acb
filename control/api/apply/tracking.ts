// Ownership after a write that is no server-side apply: whoever created, replaced or patched an object owns what that changed.
// Pure; resources.ts calls it for every such write.
import type { Kind } from '../../../core/model/kinds/kind.ts'
import type { ManagedFieldsEntry, MeshObject } from '../../../core/model/resource.ts'
import { type Comparison, compare, isSameContent, writtenBy } from './compare.ts'
import { difference, emptySet, equalSets, isEmpty, union } from './field-set.ts'
import {
  capped,
  decodeOwners,
  dispossessed,
  encodeOwners,
  isReset,
  type Owners,
  ownerId,
  tracked,
  type Writer,
} from './managers.ts'
import { rootField } from './typed.ts'

export interface Tracking {
  readonly kind: Kind
  readonly writer: Writer
  /** RFC 3339, seconds. */
  readonly now: string
}

/**
 * `updated` with the owners of its fields. `requested` is `metadata.managedFields` of the request, by which clients hand ownership
 * over (kubectl, from client-side to server-side apply) or give it up; of a status write it is not looked at.
 */
export function withOwners(
  old: MeshObject | undefined,
  updated: MeshObject,
  requested: unknown,
  { kind, writer, now }: Tracking,
): MeshObject {
  const status = writer.subresource === 'status'
  const stored = storedOwners(old)
  const held = status ? stored : requestedOwners(requested, stored)
  // an object from before there was any bookkeeping: its owners are found out at the first apply
  if (old !== undefined && held.size === 0) return withEntries(updated, [])
  const change = compare(partOf(old, status) ?? {}, partOf(updated, status), rootField(kind))
  if (isSameContent(change)) return withEntries(updated, held === stored ? entriesOf(old) : encodeOwners(held))
  return withEntries(updated, encodeOwners(capped(ownersAfter(held, writer, change, now))))
}

function ownersAfter(held: Owners, writer: Writer, change: Comparison, now: string): Owners {
  const id = ownerId(writer)
  const before = held.get(id)?.set ?? emptySet
  const set = tracked(union(difference(before, change.removed), writtenBy(change)))
  const owners = new Map(dispossessed(held, writer, change))
  if (isEmpty(set)) owners.delete(id)
  else owners.set(id, { ...writer, time: now, set })
  return owners
}

/** What a door lets its users write: the main one no status, the other nothing else. */
export function partOf(object: MeshObject | undefined, status: boolean): object | undefined {
  if (object === undefined) return undefined
  const { status: held, ...rest } = object
  if (!status) return rest
  return held === undefined ? {} : { status: held }
}

export function storedOwners(object: MeshObject | undefined): Owners {
  return decodeOwners(object?.metadata.managedFields) ?? new Map()
}

function requestedOwners(requested: unknown, stored: Owners): Owners {
  if (isReset(requested)) return new Map()
  const owners = decodeOwners(requested)
  if (owners === undefined || owners.size === 0) return stored
  return isSameOwners(owners, stored) ? stored : owners
}

export function isSameOwners(a: Owners, b: Owners): boolean {
  if (a.size !== b.size) return false
  return [...a].every(([id, owner]) => {
    const other = b.get(id)
    return other !== undefined && other.time === owner.time && equalSets(owner.set, other.set)
  })
}

export function entriesOf(object: MeshObject | undefined): readonly ManagedFieldsEntry[] {
  return object?.metadata.managedFields ?? []
}

export function withEntries(object: MeshObject, entries: readonly ManagedFieldsEntry[]): MeshObject {
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata: entries.length === 0 ? metadata : { ...metadata, managedFields: entries } }
}
