// The feed between control plane and agent: JSON messages in WebSocket text frames over mutual TLS, port 15012.
// One connection per host. The agent speaks first (`hello`); versions and resumption are described in docs/ARCHITECTURE.md.
import type { ExplainQuestion, LiveView } from '../model/explanation.ts'
import type { CompiledDelta, CompiledKey, RefusedResource } from '../model/types.ts'

/** What an agent knows of one local workload. The control plane checks it against the host's grant before believing it. */
export interface WorkloadReport {
  /** `<host>/<namespace>/<name>/<instance>`; another instance of the same name has another uid. */
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly addresses: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  /** Named ports of the workload, for Services with a named targetPort. */
  readonly ports: Readonly<Record<string, number>>
  readonly locality: string
  readonly weight: number
  /** True once redirection is in place and the daemon listens: peers may use the tunnel. */
  readonly captured: boolean
  /** Connections that were open before capture and still bypass the mesh. */
  readonly uncapturedConnections: number
}

export type AgentMessage =
  | {
      readonly type: 'hello'
      readonly host: string
      readonly build: string
      /** The state that the agent holds; absent on a first start. `digest`: digestOf its digests, so that equal states are known as such. */
      readonly resume?: { readonly epoch: string; readonly version: number; readonly digest?: string }
      /**
       * What the agent understands beyond the first version of the feed: a message that it does not know ends its connection. With
       * `waypoint` (views.ts) it is a waypoint, and gets more kinds of resources.
       */
      readonly features?: readonly string[]
    }
  /** Answer to `resync`: digest of every resource held, keyed `Kind/key`, so that only differences are sent. */
  | { readonly type: 'digests'; readonly digests: Readonly<Record<string, string>> }
  /** The complete set of local workloads; replaces the previous report. */
  | { readonly type: 'workloads'; readonly workloads: readonly WorkloadReport[] }
  | {
      readonly type: 'ack'
      readonly epoch: string
      readonly version: number
      readonly refused: readonly RefusedResource[]
    }
  /** `identity` is the full SPIFFE URI; `csr` PEM. Identity `node` asks for renewal of the host's own certificate. */
  | { readonly type: 'csr'; readonly id: number; readonly identity: string; readonly csr: string }
  /** Answers to `explain`. */
  | { readonly type: 'explained'; readonly id: number; readonly view: LiveView }
  | { readonly type: 'explain-failed'; readonly id: number; readonly code: string; readonly reason: string }
  | { readonly type: 'bye'; readonly reason: string }

export type ControlMessage =
  | {
      readonly type: 'welcome'
      readonly host: string
      readonly trustDomain: string
      readonly bundle: string
      /** Where the feeds of all replicas are that this one knows of. */
      readonly controls?: readonly { readonly host: string; readonly port: number }[]
    }
  /** The control plane does not know the agent's version: it wants `digests` before it sends a delta. */
  | { readonly type: 'resync' }
  | { readonly type: 'delta'; readonly delta: CompiledDelta }
  /** Trust bundle (concatenated PEM roots), whenever it changes. */
  | { readonly type: 'bundle'; readonly bundle: string }
  /** Which reported workloads were refused, and why. The rest is accepted. */
  | {
      readonly type: 'workloads-result'
      readonly refused: readonly { readonly uid: string; readonly reason: string }[]
    }
  | { readonly type: 'certificate'; readonly id: number; readonly chain: string; readonly bundle: string }
  | {
      readonly type: 'certificate-error'
      readonly id: number
      readonly code: string
      readonly reason: string
      readonly retryable: boolean
    }
  /** What would the host's daemon do? Only to agents with the feature `explain`. */
  | { readonly type: 'explain'; readonly id: number; readonly question: ExplainQuestion }
  | { readonly type: 'refused'; readonly code: string; readonly reason: string }

export type { CompiledDelta, CompiledKey, RefusedResource }
