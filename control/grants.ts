// What a host may have on it, fixed by the operator when the join token is made: identities and address ranges. Pure.
import { MeshError } from '../core/base/errors.ts'
import { CidrTrie, parseCidr } from '../core/net/cidr.ts'

export interface Grant {
  readonly host: string
  /** `namespace/service-account` or `namespace/*`. */
  readonly identities: readonly string[]
  /** Ranges that the addresses of the host's workloads must be in; any where empty. */
  readonly cidrs: readonly string[]
  /** Nothing but an instance of the waypoint that has the identity, and only one. */
  readonly waypoint?: boolean
}

const hostPattern = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/
const identityPattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\/(?:\*|[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)$/

export function isHostName(text: string): boolean {
  return hostPattern.test(text)
}

/** Checks what an operator asks for. Throws RESOURCE_INVALID with every problem. */
export function checkGrant(grant: Grant): Grant {
  const problems: string[] = []
  if (!isHostName(grant.host)) problems.push(`host: "${grant.host}" is not a DNS name in lower case`)
  if (grant.identities.length === 0) problems.push('identities: at least one namespace/service-account is needed')
  for (const identity of grant.identities) {
    if (identityPattern.test(identity)) continue
    problems.push(`identities: "${identity}" is neither namespace/service-account nor namespace/*`)
  }
  for (const cidr of grant.cidrs) if (parseCidr(cidr) === undefined) problems.push(`cidrs: "${cidr}" is not a CIDR`)
  if (problems.length > 0) throw new MeshError('RESOURCE_INVALID', problems.join('; '))
  return grant
}

export function grantsIdentity(grant: Grant, namespace: string, serviceAccount: string): boolean {
  return grant.identities.includes(`${namespace}/${serviceAccount}`) || grant.identities.includes(`${namespace}/*`)
}

/** Says for canonical addresses whether the grant covers them. */
export function addressFilter(grant: Grant): (address: string) => boolean {
  if (grant.cidrs.length === 0) return () => true
  const trie = new CidrTrie<true>()
  for (const cidr of grant.cidrs) trie.insert(cidr, true)
  return (address) => trie.matches(address)
}
