// What kubectl asks first: which groups, versions and resources are served. Made from the kinds table once per request.
import type { Kind } from '../../core/model/kinds/kind.ts'
import { formatApiVersion, kinds } from '../../core/model/kinds.ts'

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

/** `GET /api`. */
export function coreVersions(): object {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
}

/** `GET /apis`. */
export function apiGroups(): object {
  const groups = [...new Set(kinds.map((kind) => kind.group))].filter((group) => group !== '')
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(groupOf) }
}

/** `GET /apis/<group>`. */
export function apiGroup(group: string): object {
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(group) }
}

function groupOf(group: string) {
  const served = [...new Set(kinds.filter((kind) => kind.group === group).flatMap((kind) => kind.versions))]
  const versions = served.map((version) => ({ groupVersion: formatApiVersion(group, version), version }))
  return { name: group, versions, preferredVersion: versions[0] }
}

/** `GET /api/v1` and `GET /apis/<group>/<version>`. */
export function apiResources(group: string, version: string): object {
  const rows = kinds.filter((kind) => kind.group === group && kind.versions.includes(version))
  const groupVersion = formatApiVersion(group, version)
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: rows.flatMap(resourcesOf) }
}

function resourcesOf(kind: Kind): readonly object[] {
  const common = { namespaced: kind.namespaced, kind: kind.kind }
  const main = {
    name: kind.plural,
    singularName: kind.singular,
    ...common,
    verbs,
    ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
  }
  return [main, { name: `${kind.plural}/status`, singularName: '', ...common, verbs: ['get', 'patch', 'update'] }]
}

/** `GET /version`. The Kubernetes release whose API this one follows; kubectl compares it with its own. */
export function versionOf(culvert: string): object {
  return {
    major: '1',
    minor: '34',
    gitVersion: `v1.34.0+culvert-${culvert}`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: process.version,
    compiler: 'node',
    platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
}
