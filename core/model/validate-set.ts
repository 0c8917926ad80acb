// What must hold between resources: one object per key, one workload per address, one service per virtual IP. Runs over the
// files of a directory before anything is applied, and over the store before every write.
import { canonicalAddress } from '../net/address.ts'
import type { Path } from './fields/field.ts'
import { splitApiVersion } from './kinds.ts'
import { type Problem, problemAt } from './problem.ts'
import { formatObjectKey, type MeshObject, type ObjectKey } from './resource.ts'

/** `index` is the position of the offending object, the later of two that clash. */
export interface SetProblem extends Problem {
  readonly index: number
}

/** Addresses that an agent reported for a workload with several, separated by commas. */
const addressesAnnotation = 'culvert.dev/addresses'

export function objectKeyOf(object: MeshObject): ObjectKey {
  return {
    group: splitApiVersion(object.apiVersion).group,
    kind: object.kind,
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
  }
}

/** Checks valid objects against each other. */
export function validateSet(objects: readonly MeshObject[]): readonly SetProblem[] {
  const seen = new Map<string, number>()
  const addresses = new Claims()
  const virtualIps = new Claims()
  const problems: SetProblem[] = []
  for (const [index, object] of objects.entries()) {
    const key = formatObjectKey(objectKeyOf(object))
    const first = seen.get(key)
    if (first !== undefined) {
      problems.push({ ...problemAt(['metadata', 'name'], `${key} is defined twice`, 'duplicate'), index })
      continue
    }
    seen.set(key, index)
    const claims = object.kind === 'WorkloadEntry' ? addresses : virtualIps
    for (const { at, message } of claims.add(key, claimsOf(object))) {
      problems.push({ ...problemAt(at, message, 'duplicate'), index })
    }
  }
  return problems
}

/** An address that belongs to one object only. */
export interface Claim {
  readonly at: Path
  readonly address: string
  /** Workloads of different layer-3 networks may have the same address. */
  readonly scope: string
}

class Claims {
  readonly #owners = new Map<string, string>()

  add(owner: string, claims: readonly Claim[]): readonly { readonly at: Path; readonly message: string }[] {
    const clashes: { at: Path; message: string }[] = []
    for (const claim of claims) {
      const id = `${claim.scope}|${claim.address}`
      const other = this.#owners.get(id)
      if (other === undefined) this.#owners.set(id, owner)
      else if (other !== owner) clashes.push({ at: claim.at, message: `${claim.address} belongs to ${other} already` })
    }
    return clashes
  }
}

/** The addresses that an object claims: those of a workload, or the virtual IPs of a service. */
export function claimsOf(object: MeshObject): readonly Claim[] {
  if (object.kind === 'WorkloadEntry') return workloadAddresses(object)
  return object.kind === 'Service' ? serviceAddresses(object) : []
}

function workloadAddresses(object: MeshObject): readonly Claim[] {
  const scope = typeof object.spec?.['network'] === 'string' ? object.spec['network'] : ''
  const own = claim(['spec', 'address'], object.spec?.['address'], scope)
  const reported = object.metadata.annotations?.[addressesAnnotation]?.split(',') ?? []
  const at: Path = ['metadata', 'annotations', addressesAnnotation]
  return [...own, ...reported.flatMap((text) => claim(at, text.trim(), scope))]
}

function serviceAddresses(object: MeshObject): readonly Claim[] {
  const list = object.spec?.['clusterIPs']
  const second = Array.isArray(list)
    ? list.flatMap((text, index) => claim(['spec', 'clusterIPs', index], text, ''))
    : []
  return [...claim(['spec', 'clusterIP'], object.spec?.['clusterIP'], ''), ...second]
}

function claim(at: Path, text: unknown, scope: string): readonly Claim[] {
  const address = typeof text === 'string' ? canonicalAddress(text) : undefined
  return address === undefined ? [] : [{ at, address, scope }]
}
