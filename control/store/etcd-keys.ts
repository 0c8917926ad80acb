// Keys and ranges of the etcd store. `<prefix>objects/<group>,<kind>,<namespace>,<name>` sorts by bytes as the parts do one after
// the other: the comma is below every character of a name. `<prefix>records/<bucket>/<key>` holds the records, but for the lease of
// the leader, which stands right before the objects: one watch hears of both, and its renewals say how far the watch is.
import { MeshError } from '../../core/base/errors.ts'
import { formatObjectKey, type ObjectKey } from '../../core/model/resource.ts'
import type { ListFilter } from './store.ts'

export interface KeyRange {
  readonly start: string
  /** The first key behind the range. */
  readonly end: string
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: everything up to the comma would break the order of keys
const unfit = /[\u0000-,]/

const leaseBucket = 'leases'

export class EtcdKeys {
  readonly prefix: string
  /** Revision to which the history was compacted last; who writes it compacts. */
  readonly compaction: string
  /** Who deleted last: tells after a lost answer whether the deletion was one's own. */
  readonly deletion: string
  readonly #objects: string

  constructor(prefix: string) {
    this.prefix = prefix
    this.compaction = `${prefix}compaction`
    this.deletion = `${prefix}deletion`
    this.#objects = `${prefix}objects/`
  }

  /** Throws RESOURCE_INVALID for a name that no resource can have. */
  object(key: ObjectKey): string {
    const parts = [key.group, key.kind, key.namespace, key.name]
    if (parts.some((part) => unfit.test(part))) {
      throw new MeshError('RESOURCE_INVALID', `${formatObjectKey(key)} holds a character that no name may have`)
    }
    return this.#objects + parts.join(',')
  }

  isObject(key: string): boolean {
    return key.startsWith(this.#objects)
  }

  /** All objects, and the lease. */
  objectsAndLease(): KeyRange {
    return { start: this.#bucket(leaseBucket), end: rangeOf(this.#objects).end }
  }

  objectKey(key: string): ObjectKey {
    const [group = '', kind = '', namespace = '', name = ''] = key.slice(this.#objects.length).split(',')
    return { group, kind, namespace, name }
  }

  /** The smallest single range that holds all that fits the filter, and whether it holds nothing else. */
  objects(filter: ListFilter): KeyRange & { readonly exact: boolean } {
    const { group, kind, namespace } = filter
    const parts = group === undefined ? [] : kind === undefined ? [group] : [group, kind]
    if (parts.length === 2 && namespace !== undefined) parts.push(namespace)
    const wanted = [group, kind, namespace].filter((part) => part !== undefined).length
    return { ...rangeOf(this.#objects + parts.map((part) => `${part},`).join('')), exact: parts.length === wanted }
  }

  record(bucket: string, key: string): string {
    return `${this.#bucket(bucket)}${key}`
  }

  records(bucket: string): KeyRange {
    return rangeOf(this.#bucket(bucket))
  }

  recordKey(bucket: string, key: string): string {
    return key.slice(this.#bucket(bucket).length)
  }

  #bucket(bucket: string): string {
    return bucket === leaseBucket ? `${this.prefix}objects-lease/` : `${this.prefix}records/${bucket}/`
  }
}

/** All keys that begin with `prefix`, which ends in an ASCII character. */
function rangeOf(prefix: string): KeyRange {
  const last = prefix.length - 1
  return { start: prefix, end: prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1) }
}

/** The key right behind `key`. */
export function behind(key: string): string {
  return `${key}\u0000`
}

export function fits(key: ObjectKey, filter: ListFilter): boolean {
  return (
    (filter.group === undefined || filter.group === key.group) &&
    (filter.kind === undefined || filter.kind === key.kind) &&
    (filter.namespace === undefined || filter.namespace === key.namespace)
  )
}
