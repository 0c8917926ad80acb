// What kubectl asks first: which groups, versions and resources are served. Made from the kinds table, one by one as clients up to
// 1.26 ask, and all at once (`apidiscovery.k8s.io`) as later ones do.
import type { Kind } from '../../core/model/kinds/kind.ts'
import { formatApiVersion, kinds } from '../../core/model/kinds.ts'
import type { MediaRange } from './accept.ts'
import { reviewResources } from './reviews.ts'

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const statusVerbs = ['get', 'patch', 'update']

/** A row of discovery: a kind, a subresource, or a review that is asked and not stored. */
interface DiscoveredResource {
  readonly name: string
  readonly singularName: string
  readonly namespaced: boolean
  readonly kind: string
  readonly verbs: readonly string[]
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
}

/** `GET /api`. */
export function coreVersions(): object {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
}

/** `GET /apis`. */
export function apiGroups(): object {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupNames().map(groupOf) }
}

/** `GET /apis/<group>`. */
export function apiGroup(group: string): object {
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(group) }
}

/** Whether anything is served in a group, or in one version of it. */
export function isServed(group: string, version?: string): boolean {
  return version === undefined ? versionsOf(group).length > 0 : versionsOf(group).includes(version)
}

function groupNames(): readonly string[] {
  const groups = [...kinds.map((kind) => kind.group), ...reviewResources.map((review) => review.group)]
  return [...new Set(groups)].filter((group) => group !== '')
}

/** The preferred one first. */
function versionsOf(group: string): readonly string[] {
  const served = kinds.filter((kind) => kind.group === group).flatMap((kind) => kind.versions)
  const reviews = reviewResources.filter((review) => review.group === group).map((review) => review.version)
  return [...new Set([...served, ...reviews])]
}

function groupOf(group: string) {
  const versions = versionsOf(group).map((version) => ({ groupVersion: formatApiVersion(group, version), version }))
  return { name: group, versions, preferredVersion: versions[0] }
}

/** `GET /api/v1` and `GET /apis/<group>/<version>`. */
export function apiResources(group: string, version: string): object {
  const groupVersion = formatApiVersion(group, version)
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: resourcesOf(group, version) }
}

function resourcesOf(group: string, version: string): readonly DiscoveredResource[] {
  const rows = kinds.filter((kind) => kind.group === group && kind.versions.includes(version))
  const reviews = reviewResources.filter((review) => review.group === group && review.version === version)
  return [
    ...rows.flatMap((kind) => [mainResource(kind), ...(kind.hasNoStatus === true ? [] : [statusResource(kind)])]),
    ...reviews.map(({ plural, kind }) => {
      return { name: plural, singularName: kind.toLowerCase(), namespaced: false, kind, verbs: ['create'] }
    }),
  ]
}

function mainResource(kind: Kind): DiscoveredResource {
  return {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs,
    ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
  }
}

function statusResource(kind: Kind): DiscoveredResource {
  const { plural, namespaced } = kind
  return { name: `${plural}/status`, singularName: '', namespaced, kind: kind.kind, verbs: statusVerbs }
}

/** The version of aggregated discovery that a client asks for; undefined where it asks for the plain one. */
export function aggregatedVersion(ranges: readonly MediaRange[]): 'v2' | 'v2beta1' | undefined {
  for (const { type, parameters } of ranges) {
    if (type !== 'application/json') continue
    const { as, g, v } = parameters
    if (as === undefined) return undefined
    if (as === 'APIGroupDiscoveryList' && g === 'apidiscovery.k8s.io' && (v === 'v2' || v === 'v2beta1')) return v
  }
  return undefined
}

/** `GET /api` (the core group) and `GET /apis` (all others) as one answer. */
export function aggregated(version: 'v2' | 'v2beta1', core: boolean): object {
  const groups = core ? [''] : groupNames()
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: { name: group === '' ? null : group, creationTimestamp: null },
      versions: versionsOf(group).map((served) => {
        return { version: served, resources: discoveredIn(group, served), freshness: 'Current' }
      }),
    })),
  }
}

function discoveredIn(group: string, version: string): readonly object[] {
  const all = resourcesOf(group, version)
  return all
    .filter(({ name }) => !name.includes('/'))
    .map((resource) => {
      const { name, kind, namespaced, verbs, shortNames, categories, singularName } = resource
      const responseKind = { group, version, kind }
      const subresources = all
        .filter((other) => other.name.startsWith(`${name}/`))
        .map((other) => ({ subresource: other.name.slice(name.length + 1), responseKind, verbs: other.verbs }))
      return {
        resource: name,
        responseKind,
        scope: namespaced ? 'Namespaced' : 'Cluster',
        singularResource: singularName,
        verbs,
        ...(shortNames === undefined ? {} : { shortNames }),
        ...(categories === undefined ? {} : { categories }),
        ...(subresources.length === 0 ? {} : { subresources }),
      }
    })
}

/** `GET /version`. The Kubernetes release whose API this one follows; kubectl compares it with its own. */
export function versionOf(culvert: string): object {
  return {
    major: '1',
    minor: '32',
    gitVersion: `v1.32.0+culvert-${culvert}`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: process.version,
    compiler: 'node',
    platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
}
