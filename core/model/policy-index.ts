// Which policies apply to a workload: those of the mesh, of its namespace, and those that it lists. Owned by Snapshot.
import type { Policy } from './policy.ts'
import type { Workload } from './types.ts'

/** The policies of one workload, each list in the order of their keys. Dry-run policies are in `dryRun` only. */
export interface PolicySet {
  readonly deny: readonly Policy[]
  readonly allow: readonly Policy[]
  readonly dryRun: readonly Policy[]
  /** Keys that the workload lists and nobody delivered: their meaning is unknown, so they deny. */
  readonly missing: readonly string[]
}

export class PolicyIndex {
  readonly #byKey = new Map<string, Policy>()
  readonly #mesh = new Map<string, Policy>()
  readonly #byNamespace = new Map<string, Map<string, Policy>>()
  #sets = new WeakMap<Workload, PolicySet>()

  get(key: string): Policy | undefined {
    return this.#byKey.get(key)
  }

  set(policy: Policy): void {
    this.delete(policy.key)
    this.#byKey.set(policy.key, policy)
    if (policy.scope === 'mesh') this.#mesh.set(policy.key, policy)
    if (policy.scope === 'namespace') {
      const siblings = this.#byNamespace.get(policy.namespace)
      if (siblings === undefined) this.#byNamespace.set(policy.namespace, new Map([[policy.key, policy]]))
      else siblings.set(policy.key, policy)
    }
  }

  delete(key: string): void {
    this.#sets = new WeakMap()
    const policy = this.#byKey.get(key)
    if (policy === undefined) return
    this.#byKey.delete(key)
    this.#mesh.delete(key)
    const siblings = this.#byNamespace.get(policy.namespace)
    siblings?.delete(key)
    if (siblings?.size === 0) this.#byNamespace.delete(policy.namespace)
  }

  /** Worked out once per workload value, until any policy changes. */
  for(workload: Workload): PolicySet {
    const known = this.#sets.get(workload)
    if (known !== undefined) return known
    const set = this.#collect(workload)
    this.#sets.set(workload, set)
    return set
  }

  #collect(workload: Workload): PolicySet {
    const applying = new Map(this.#mesh)
    for (const [key, policy] of this.#byNamespace.get(workload.namespace) ?? []) applying.set(key, policy)
    const missing: string[] = []
    for (const key of workload.authorizations) {
      const policy = this.#byKey.get(key)
      if (policy === undefined) missing.push(key)
      else applying.set(key, policy)
    }
    const policies = [...applying.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
    const enforced = policies.filter((policy) => !policy.dryRun)
    return {
      deny: enforced.filter((policy) => policy.action === 'DENY'),
      allow: enforced.filter((policy) => policy.action === 'ALLOW'),
      dryRun: policies.filter((policy) => policy.dryRun),
      missing,
    }
  }
}
