// The handoff between agent and daemon: one JSON object per line over a unix stream socket on which the agent listens.
// The agent opens with `state` (everything) and sends changes after it; the daemon acknowledges by `seq`.
import type { ExplainQuestion, LiveView } from '../model/explanation.ts'
import type { CompiledDelta, RefusedResource } from '../model/types.ts'

/** A workload of this host whose namespace the daemon serves. */
export interface LocalWorkload {
  /** uid of the compiled Workload. */
  readonly uid: string
  readonly namespace: string
  readonly name: string
  /** SPIFFE URI of the workload. */
  readonly identity: string
  readonly addresses: readonly string[]
  /** A bind mount of the network namespace, and its inode, which the daemon checks after opening it. */
  readonly netns: { readonly path: string; readonly inode: number }
  /** Resolvers of the workload, `ip` or `ip:port`, for names that are not the mesh's. */
  readonly nameservers: readonly string[]
}

export type HandoffToDaemon =
  /** First message after connect: everything. Local workloads that it lacks are stopped (drained). */
  | {
      readonly type: 'state'
      readonly seq: number
      readonly delta: CompiledDelta
      readonly bundle: string
      readonly workloads: readonly LocalWorkload[]
    }
  | { readonly type: 'delta'; readonly seq: number; readonly delta: CompiledDelta }
  | { readonly type: 'bundle'; readonly seq: number; readonly bundle: string }
  /** Acknowledged once the listeners are open: only then does the agent install the redirection. */
  | { readonly type: 'workload-add'; readonly seq: number; readonly workload: LocalWorkload }
  /** Listeners close, live connections drain. */
  | { readonly type: 'workload-remove'; readonly seq: number; readonly uid: string }
  /** A newer daemon serves all that this one serves: stop accepting, drain, end. */
  | { readonly type: 'drain'; readonly seq: number }
  /** Only to daemons with the feature `explain`. */
  | { readonly type: 'explain'; readonly id: number; readonly question: ExplainQuestion }
  | { readonly type: 'certificate'; readonly id: number; readonly chain: string; readonly bundle: string }
  | {
      readonly type: 'certificate-error'
      readonly id: number
      readonly code: string
      readonly reason: string
      readonly retryable: boolean
    }

export type HandoffToAgent =
  | {
      readonly type: 'hello'
      readonly build: string
      readonly pid: number
      /** Milliseconds from boot to the start of the process, so that no change of the clock makes the older daemon the newer. */
      readonly startedAt?: number
      /** It accepts nothing any more and only wants to know what its live connections may still do. */
      readonly draining?: boolean
      /** Messages that it understands beyond those of the first version. */
      readonly features?: readonly string[]
    }
  /** The daemon stops accepting, whoever told it to. */
  | { readonly type: 'draining' }
  | {
      readonly type: 'ack'
      readonly seq: number
      readonly refused: readonly RefusedResource[]
      /** uid → reason, for workloads whose listeners could not be opened. */
      readonly failed: Readonly<Record<string, string>>
    }
  | { readonly type: 'explained'; readonly id: number; readonly view: LiveView }
  | { readonly type: 'explain-failed'; readonly id: number; readonly code: string; readonly reason: string }
  | { readonly type: 'csr'; readonly id: number; readonly identity: string; readonly csr: string }
