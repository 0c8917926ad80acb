// The paths of the Kubernetes API: what a URL path addresses. Pure; the handler dispatches on the result.
import type { Kind } from '../../core/model/kinds/kind.ts'
import { formatApiVersion, kinds } from '../../core/model/kinds.ts'
import { isServed } from './discovery.ts'

/** A collection (`name` absent) or one object of a kind, at the version that was asked for. */
export interface ResourceTarget {
  readonly type: 'resource'
  readonly kind: Kind
  readonly apiVersion: string
  /** Absent: all namespaces, or a kind that has none. */
  readonly namespace?: string
  readonly name?: string
  readonly subresource?: 'status'
}

export type Target =
  | { readonly type: 'core-versions' }
  | { readonly type: 'groups' }
  | { readonly type: 'group'; readonly group: string }
  | { readonly type: 'resources'; readonly group: string; readonly version: string }
  | ResourceTarget

/** What the path addresses; undefined where there is nothing. */
export function parsePath(pathname: string): Target | undefined {
  const parts = decode(pathname)
  if (parts === undefined) return undefined
  if (parts[0] === 'api') {
    if (parts.length === 1) return { type: 'core-versions' }
    return parseGroup('', parts[1]!, parts.slice(2))
  }
  if (parts[0] !== 'apis') return undefined
  if (parts.length === 1) return { type: 'groups' }
  const group = parts[1]!
  if (group === '' || !isServed(group)) return undefined
  return parts.length === 2 ? { type: 'group', group } : parseGroup(group, parts[2]!, parts.slice(3))
}

/** Segments between slashes, decoded; a trailing slash is forgiven. */
function decode(pathname: string): readonly string[] | undefined {
  try {
    const parts = pathname.replace(/\/$/, '').split('/').slice(1).map(decodeURIComponent)
    return parts.some((part) => part === '' || part.includes('/')) ? undefined : parts
  } catch {
    // a malformed percent escape
    return undefined
  }
}

function parseGroup(group: string, version: string, rest: readonly string[]): Target | undefined {
  if (!isServed(group, version)) return undefined
  if (rest.length === 0) return { type: 'resources', group, version }
  const inNamespace = rest[0] === 'namespaces' && rest.length >= 3 && !(rest.length === 3 && rest[2] === 'status')
  return inNamespace
    ? parseResource(group, version, rest.slice(2), rest[1])
    : parseResource(group, version, rest, undefined)
}

function parseResource(
  group: string,
  version: string,
  rest: readonly string[],
  namespace: string | undefined,
): Target | undefined {
  const [plural, name, subresource, more] = rest
  const kind = kinds.find((row) => row.group === group && row.plural === plural && row.versions.includes(version))
  if (kind === undefined || more !== undefined) return undefined
  if (subresource !== undefined && (subresource !== 'status' || kind.hasNoStatus === true)) return undefined
  // one object of a namespaced kind is addressed with its namespace, a cluster-scoped one never
  if (namespace !== undefined && !kind.namespaced) return undefined
  if (namespace === undefined && kind.namespaced && name !== undefined) return undefined
  return {
    type: 'resource',
    kind,
    apiVersion: formatApiVersion(group, version),
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  }
}
