// What the control plane tells of the mesh over its API. Answered by control/routes.ts, read by the CLI, the lab and the dashboard.
import type { RefusedResource } from './types.ts'

/** `GET /culvert/v1/status`. Times are RFC 3339. */
export interface MeshStatus {
  readonly trustDomain: string
  readonly epoch: string
  readonly version: number
  /** The store's revision (`resourceVersion`) up to which the model reflects it: `version` where that changed the model, else more. */
  readonly revision: number
  readonly certificateAuthority: { readonly rootFingerprint: string; readonly issuingNotAfter: string }
  readonly replicas: readonly ReplicaStatus[]
  readonly hosts: readonly HostStatus[]
}

/** A control plane process. */
export interface ReplicaStatus {
  readonly id: string
  /** Where hosts reach it. */
  readonly feed: readonly { readonly host: string; readonly port: number }[]
  /** URL. */
  readonly api: string
  readonly build: string
  /** Whether it does what only one may. */
  readonly leads: boolean
}

/** A resource that a host could not take. */
export interface Refusal extends RefusedResource {
  readonly version: number
  readonly at: string
}

export interface HostStatus {
  readonly host: string
  /** A machine with an agent, or a waypoint, which is a host of its own. */
  readonly kind?: 'agent' | 'waypoint'
  readonly connected: boolean
  readonly connectedSince?: string
  /** The id of the replica that it is connected to. */
  readonly replica?: string
  /** Since when it is not connected, as far as the replica that answers has seen it. */
  readonly awaySince?: string
  readonly build?: string
  /** The version that the host has acknowledged; 0 where it has none of this epoch. */
  readonly version: number
  /** How many versions came after that one. */
  readonly lag: number
  /** When the first of them came. */
  readonly behindSince?: string
  /** What it could not take. */
  readonly refused: readonly RefusedResource[]
  /** What it could not take last, though it may have taken it since. */
  readonly lastRefusal?: Refusal
  readonly refusedWorkloads: readonly { readonly uid: string; readonly reason: string }[]
  readonly workloads: readonly WorkloadStatus[]
  readonly identities: readonly string[]
  /** That the host may use now, the newest last. */
  readonly certificates: readonly { readonly serial: string; readonly notBefore?: string; readonly notAfter: string }[]
}

/** `GET /culvert/v1/certificates` answers with `{certificates: CertificateStatus[]}`. Times are RFC 3339. */
export interface CertificateStatus {
  readonly host: string
  /** SPIFFE URI of a workload's identity, or of the host's own. */
  readonly identity: string
  /** Lower-case hex without leading zeros. */
  readonly serial: string
  readonly notBefore?: string
  readonly notAfter: string
}

export interface WorkloadStatus {
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly addresses: readonly string[]
  readonly captured: boolean
  /** Open connections from before the capture; unknown while the host is away. */
  readonly uncapturedConnections?: number
}
