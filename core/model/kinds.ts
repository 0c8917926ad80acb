// The kinds that Culvert serves. The API server, the manifest parser and the compile step look kinds up here; a new kind is one row
// in kinds/ and one field table in fields/.
import { coreKinds } from './kinds/core.ts'
import { culvertKinds } from './kinds/culvert.ts'
import { gatewayKinds } from './kinds/gateway.ts'
import { istioKinds } from './kinds/istio.ts'
import type { Kind } from './kinds/kind.ts'
import { didYouMean } from './suggest.ts'

export const kinds: readonly Kind[] = [...coreKinds, ...istioKinds, ...gatewayKinds, ...culvertKinds]

/** `v1` has no group, `security.istio.io/v1` has one. */
export function splitApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf('/')
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) }
}

export function formatApiVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`
}

/** The kind at one of its served versions; undefined where group, version or kind is not served. */
export function kindOf(apiVersion: string, kind: string): Kind | undefined {
  const { group, version } = splitApiVersion(apiVersion)
  return kinds.find((row) => row.kind === kind && row.group === group && row.versions.includes(version))
}

/** Why `kindOf` found nothing, and what is served instead. */
export function unknownKind(apiVersion: string, kind: string): string {
  const { group } = splitApiVersion(apiVersion)
  const sameKind = kinds.find((row) => row.kind === kind)
  if (sameKind !== undefined) {
    const served = sameKind.versions.map((version) => formatApiVersion(sameKind.group, version)).join(', ')
    const what = sameKind.group === group ? 'version' : 'API group'
    return `${kind} has no ${what} "${apiVersion}"; served: ${served}`
  }
  const names = kinds.map((row) => row.kind)
  const meant = didYouMean(kind, names)
  return `kind "${kind}" of "${apiVersion}" is not served${meant === '' ? `; served are ${names.join(', ')}` : meant}`
}
