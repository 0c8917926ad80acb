// Which discovered workload is which remembered instance: an instance keeps its uid while its network namespace lives,
// another namespace under the same name is another instance. Pure; the reconciler applies the result.
import { isDeepStrictEqual } from 'node:util'
import type { DiscoveredWorkload } from '../discover/discoverer.ts'
import type { HostState, WorkloadRecord } from '../state.ts'

export interface InventoryChange {
  readonly added: readonly DiscoveredWorkload[]
  /** The same instance, described otherwise. */
  readonly redefined: readonly { readonly uid: string; readonly definition: DiscoveredWorkload }[]
  /** `vanished`: its namespace is another one by now; `undefined`: nobody defines it any more. */
  readonly retired: readonly { readonly uid: string; readonly how: 'undefined' | 'vanished' }[]
}

/**
 * @param known records of instances that have not been retired
 * @param namespaceAlive whether the path still leads to the namespace with that inode
 */
export function compareInventory(
  known: readonly WorkloadRecord[],
  discovered: readonly DiscoveredWorkload[],
  namespaceAlive: (netns: DiscoveredWorkload['netns']) => boolean,
): InventoryChange {
  const added: DiscoveredWorkload[] = []
  const redefined: { uid: string; definition: DiscoveredWorkload }[] = []
  const matched = new Set<string>()
  for (const definition of discovered) {
    const record = known.find((candidate) => isSameInstance(candidate.definition, definition))
    if (record === undefined) added.push(definition)
    else {
      matched.add(record.uid)
      if (!isDeepStrictEqual(record.definition, definition)) redefined.push({ uid: record.uid, definition })
    }
  }
  const retired = known
    .filter((record) => !matched.has(record.uid))
    .map(({ uid, definition }) => ({
      uid,
      how: namespaceAlive(definition.netns) ? ('undefined' as const) : ('vanished' as const),
    }))
  return { added, redefined, retired }
}

/** Another service account is another identity, hence another instance. */
function isSameInstance(a: DiscoveredWorkload, b: DiscoveredWorkload): boolean {
  return (
    a.netns.inode === b.netns.inode &&
    a.name === b.name &&
    a.namespace === b.namespace &&
    a.serviceAccount === b.serviceAccount
  )
}

/**
 * The uid that a workload had before the machine was started anew, if it is described just as then. Its namespace is
 * another one, but a control plane that is away cannot learn another uid, and this host has to carry traffic without
 * it.
 */
export function uidBeforeReboot(saved: HostState, definition: DiscoveredWorkload): string | undefined {
  return saved.workloads.find(
    ({ definition: before }) =>
      before.name === definition.name &&
      before.namespace === definition.namespace &&
      before.serviceAccount === definition.serviceAccount &&
      isDeepStrictEqual([...before.addresses].sort(), [...definition.addresses].sort()),
  )?.uid
}
