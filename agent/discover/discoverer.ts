// What a discoverer is: it knows which workloads run on this host, from whatever source, and says when that changes.
// directory.ts is one; units, containers and pods come later. The reconciler (enroll/) uses them through this
// interface.

/** A workload as found on this host. Addresses are canonical. */
export interface DiscoveredWorkload {
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
  /** Port name → port. */
  readonly ports: Readonly<Record<string, number>>
  readonly addresses: readonly string[]
  /** `ip` or `ip:port`, for names that are not the mesh's. */
  readonly nameservers: readonly string[]
  readonly locality: string
  readonly weight: number
  /** Where its network namespace was found, and which it was then. */
  readonly netns: { readonly path: string; readonly inode: number }
}

export interface Discoverer {
  /** Looks once, then watches; `onChange` is called after every change of `workloads`. */
  start(onChange: () => void): Promise<void>
  /** What runs now; each (namespace, name) and each network namespace once. */
  readonly workloads: readonly DiscoveredWorkload[]
  close(): Promise<void>
}
