// Who owns which fields of an object: `metadata.managedFields`, read, written and brought up to date by writes. Pure; tracking.ts
// (updates) and apply.ts (server-side apply) change it.
import { isObject } from '../../../core/model/field-check.ts'
import type { ManagedFieldsEntry } from '../../../core/model/resource.ts'
import { type Comparison, writtenBy } from './compare.ts'
import { difference, type FieldSet, intersection, isEmpty, setOf, union, without } from './field-set.ts'
import { decodeFields, encodeFields } from './fields-v1.ts'

/** Who writes, and through which door. */
export interface Writer {
  readonly manager: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly subresource?: string
}

export interface Owner extends Writer {
  /** RFC 3339, seconds. */
  readonly time?: string
  readonly set: FieldSet
}

/** Owners by `ownerId`. */
export type Owners = ReadonlyMap<string, Owner>

/** One entry per manager and door; of an applier whatever version it last applied at. */
export function ownerId({ manager, operation, apiVersion, subresource = '' }: Writer): string {
  return JSON.stringify([manager, operation, operation === 'Apply' ? '' : apiVersion, subresource])
}

/** What the server keeps track of by itself: nobody owns it. */
const untracked = setOf([
  ['f:apiVersion'],
  ['f:kind'],
  ['f:metadata'],
  ...[
    'name',
    'namespace',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'selfLink',
    'uid',
    'generation',
    'resourceVersion',
  ].map((name) => ['f:metadata', `f:${name}`]),
])

const managedFields = setOf([['f:metadata', 'f:managedFields']])

export function tracked(set: FieldSet): FieldSet {
  return difference(without(set, managedFields), untracked)
}

/** The owners of the entries; undefined where one of them is malformed. */
export function decodeOwners(entries: unknown): Owners | undefined {
  if (entries === undefined || entries === null) return new Map()
  if (!Array.isArray(entries)) return undefined
  const owners = new Map<string, Owner>()
  for (const entry of entries) {
    const owner = decodeOwner(entry)
    if (owner === undefined) return undefined
    const id = ownerId(owner)
    const held = owners.get(id)
    owners.set(id, held === undefined ? owner : { ...owner, set: union(held.set, owner.set) })
  }
  return owners
}

function decodeOwner(entry: unknown): Owner | undefined {
  if (!isObject(entry)) return undefined
  const { manager, operation, apiVersion, subresource, time, fieldsType, fieldsV1 } = entry
  if (operation !== 'Apply' && operation !== 'Update') return undefined
  if (typeof apiVersion !== 'string' || (fieldsType !== undefined && fieldsType !== 'FieldsV1')) return undefined
  if (!isShown(manager) || !isShown(subresource) || !isTime(time)) return undefined
  const set = decodeFields(fieldsV1 ?? {})
  if (set === undefined) return undefined
  return {
    manager: typeof manager === 'string' ? manager : '',
    operation,
    apiVersion,
    ...(typeof subresource === 'string' && subresource !== '' ? { subresource } : {}),
    ...(typeof time === 'string' ? { time } : {}),
    set,
  }
}

/** Characters of a manager, as in Kubernetes. */
const maxShown = 128

function isShown(value: unknown): boolean {
  return typeof value !== 'string' || (value.length <= maxShown && /^[\P{C}]*$/u.test(value))
}

/** A time that no client can read would make every list with the object unreadable. */
function isTime(value: unknown): boolean {
  if (typeof value !== 'string') return true
  return (
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(value) && !Number.isNaN(Date.parse(value))
  )
}

/** `[{}]`: somebody asks for the ownership to be forgotten. */
export function isReset(entries: unknown): boolean {
  return Array.isArray(entries) && entries.length === 1 && isObject(entries[0]) && Object.keys(entries[0]).length === 0
}

/** Appliers first, then by time and name, as Kubernetes sorts them. */
export function encodeOwners(owners: Owners): readonly ManagedFieldsEntry[] {
  const sortKey = ({ operation, time = '', manager, apiVersion, subresource = '' }: Owner): string =>
    [operation, time, manager, apiVersion, subresource].join('\u0000')
  return [...owners.values()]
    .filter(({ set }) => !isEmpty(set))
    .sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
    .map(({ manager, operation, apiVersion, subresource, time, set }) => ({
      manager,
      operation,
      apiVersion,
      ...(time === undefined ? {} : { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: encodeFields(set),
      ...(subresource === undefined ? {} : { subresource }),
    }))
}

/** What others own of the fields that `writer` is about to write. */
export function clashes(owners: Owners, writer: Writer, change: Comparison): readonly Owner[] {
  const written = writtenBy(change)
  const own = ownerId(writer)
  return [...owners].flatMap(([id, owner]) => {
    const set = id === own ? undefined : intersection(owner.set, written)
    return set === undefined || isEmpty(set) ? [] : [{ ...owner, set }]
  })
}

/** The owners after `writer` made this change: what it wrote is taken from the others, what is gone is nobody's. */
export function dispossessed(owners: Owners, writer: Writer, change: Comparison): Owners {
  const lost = union(writtenBy(change), change.removed)
  const own = ownerId(writer)
  const left = [...owners].map(
    ([id, owner]) => [id, id === own ? owner : { ...owner, set: difference(owner.set, lost) }] as const,
  )
  return new Map(left.filter(([, { set }]) => !isEmpty(set)))
}

/** Update entries of one object; beyond that the oldest become one. */
const maxUpdaters = 10

/** The oldest update entries beyond the limit become one, `ancient-changes`. */
export function capped(owners: Owners): Owners {
  const updaters = [...owners.values()].filter(({ operation }) => operation === 'Update')
  if (updaters.length <= maxUpdaters) return owners
  const oldest = updaters
    .sort((a, b) => ((a.time ?? '') < (b.time ?? '') ? -1 : 1))
    .slice(0, updaters.length - maxUpdaters + 1)
  const result = new Map(owners)
  for (const owner of oldest) result.delete(ownerId(owner))
  for (const { subresource: _, ...owner } of oldest) {
    const ancient: Owner = { ...owner, manager: 'ancient-changes' }
    const held = result.get(ownerId(ancient))
    result.set(ownerId(ancient), held === undefined ? ancient : { ...ancient, set: union(held.set, ancient.set) })
  }
  return result
}
