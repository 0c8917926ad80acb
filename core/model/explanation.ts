// What `explain` answers: shapes only, stable as JSON (docs/CLI.md). Written by explain.ts, sent by control and daemon, read by
// the CLI.

export interface ExplainQuestion {
  /** A workload (`namespace/name`, `name.namespace`, a uid) or an address. */
  readonly source: string
  /** A workload, a service, a hostname or an address, with `:port`. */
  readonly destination: string
  /** Where bare names of a source are looked for; everywhere if absent. */
  readonly namespace?: string
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * What the mesh does with a workload: `pending` will be captured, `leaving` still is, a `waypoint` uses tunnels of itself,
 * `unknown` is no workload of the mesh.
 */
export type Capture = 'captured' | 'pending' | 'leaving' | 'waypoint' | 'outside' | 'unknown'

export interface ExplainedWorkload {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  readonly host: string
  readonly capture: Capture
}

/** `not-captured`: neither end is in the mesh, so the network alone decides. */
export type PathVerdict = 'allowed' | 'denied' | 'unreachable' | 'not-captured'

export interface ExplainedRule {
  /** Position in the resource, from 0. */
  readonly rule: number
  readonly matches: boolean
  readonly because: string
}

export interface ExplainedPolicy {
  /** `namespace/name`. */
  readonly policy: string
  readonly action: 'ALLOW' | 'DENY'
  readonly scope: 'mesh' | 'namespace' | 'workload'
  readonly dryRun: boolean
  /** `missing`: the workload names it, and it has not arrived. `matched`: it would decide, had another not decided before. */
  readonly outcome: 'decided' | 'matched' | 'not-matched' | 'missing'
  readonly because: string
  /** What of the resource is not enforced as written, as its status says. */
  readonly notes?: readonly string[]
  readonly rules: readonly ExplainedRule[]
}

export interface ExplainedAuthorization {
  readonly allowed: boolean
  /** What decided: `namespace/name rule 2`, `PeerAuthentication namespace/name`; absent where no policy holds. */
  readonly policy?: string
  readonly because: string
  /** What the dry-run policies would have said, where that differs. */
  readonly dryRun?: string
  readonly policies: readonly ExplainedPolicy[]
}

/** The waypoint that stands before a destination, and what it means for one way. */
export interface ExplainedWaypoint {
  /** `namespace/name`; a key `namespace/hostname` where the mesh does not know it. */
  readonly waypoint: string
  /** `unreachable`: the source's proxy refuses the connection for want of it. */
  readonly outcome: 'passed' | 'gone-around' | 'unreachable'
  /** Whose label it is, and why the outcome. */
  readonly because: string
  /** Where it is passed: of which instances one is drawn, their tunnels, `ip:15008`, and shares in (0, 1]. */
  readonly instances: readonly {
    readonly workload: Omit<ExplainedWorkload, 'capture'>
    readonly peer: string
    readonly share: number
  }[]
  /** SPIFFE URIs of the tunnel to it: what the source presents, and of which the waypoint must present one. */
  readonly identities?: { readonly source: string; readonly destination: readonly string[] }
}

/** One way that a connection may take. Through a waypoint `transport`, `peer` and `identities` are about the tunnel behind it. */
export interface ExplainedPath {
  /** Where the application believes to connect, `ip:port`. */
  readonly dial: string
  /** Where it ends, `ip:port`. */
  readonly target: string
  /** Of the connections to `dial`, in (0, 1]. */
  readonly share: number
  readonly verdict: PathVerdict
  readonly because: string
  /** Code of docs/ERRORS.md, where the connection is refused. */
  readonly code?: string
  readonly workload?: ExplainedWorkload
  /** `namespace/hostname`. */
  readonly service?: string
  /** `none` where nothing leaves the source. */
  readonly transport: 'tunnel' | 'plaintext' | 'loopback' | 'none'
  readonly transportBecause: string
  /** Where the tunnel is dialled, `ip:15008`. */
  readonly peer?: string
  /** SPIFFE URIs: what the source presents, and of which the peer must present one. */
  readonly identities?: { readonly source: string; readonly destination: readonly string[] }
  readonly waypoint?: ExplainedWaypoint
  /** The caller's address, as the application sees it. */
  readonly callerSeen?: string
  readonly peerAuthentication?: { readonly mode: 'STRICT' | 'PERMISSIVE'; readonly source?: string }
  /** Absent where nobody asks for a policy: the destination is not captured. */
  readonly authorization?: ExplainedAuthorization
}

export interface ExplainStep {
  readonly what: string
  readonly outcome: string
  readonly because: string
  /** Whether the connection gets past this; absent where the step only informs. */
  readonly passed?: boolean
  /** Targets of the paths that it is about, where not of all. */
  readonly targets?: readonly string[]
}

export interface Explanation {
  /** The model that it was computed from. */
  readonly model: { readonly epoch: string; readonly version: number }
  /** `mixed`: it depends on the endpoint. */
  readonly verdict: PathVerdict | 'mixed'
  readonly summary: string
  readonly source: {
    readonly text: string
    readonly capture: Capture
    readonly addresses: readonly string[]
    readonly workload?: ExplainedWorkload
    /** SPIFFE URI that it would present. */
    readonly identity?: string
  }
  readonly destination: {
    readonly text: string
    readonly kind: 'service' | 'workload' | 'address' | 'name'
    readonly port: number
    /** What the name resolves to in the mesh, or the addresses of the workload. */
    readonly addresses: readonly string[]
    /** `namespace/hostname`. */
    readonly service?: string
  }
  readonly steps: readonly ExplainStep[]
  readonly paths: readonly ExplainedPath[]
  /** Members of the service that get no connection now. */
  readonly standby: readonly { readonly workload: ExplainedWorkload; readonly because: string }[]
  readonly limits: ExplainLimits
}

/** Milliseconds. The two timeouts are the daemon's settings, or their defaults where no daemon was asked. */
export interface ExplainLimits {
  readonly establishTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly maxEndpoints: number
  readonly patienceMs: number
}

/** One way of an explanation, as far as two models can differ about it. */
export type LivePath = Pick<ExplainedPath, 'dial' | 'target' | 'verdict' | 'because' | 'transport'> & {
  /** uid of the workload at the end. */
  readonly uid?: string
  /** What decided. */
  readonly policy?: string
  /** The waypoint that is passed, `namespace/name`. */
  readonly waypoint?: string
}

/** What one daemon says: the same question, answered on the state that it works with. */
export interface LiveView {
  readonly model: { readonly epoch: string; readonly version: number }
  readonly verdict: Explanation['verdict']
  readonly paths: readonly LivePath[]
  readonly limits: ExplainLimits
  /** Of the workloads in question those that the daemon serves; until when their certificate holds, if there is one. */
  readonly served: readonly { readonly uid: string; readonly certificateNotAfterMs?: number }[]
}

/** What came of asking the daemon of one host. An instance of a waypoint is not asked: what it has taken is known. */
export interface LiveReport {
  readonly host: string
  readonly asked: readonly ('source' | 'waypoint' | 'destination')[]
  /** Why there is no answer; then the rest is missing. */
  readonly failed?: string
  /** The API of the replica that the host is connected to, where another one was asked. */
  readonly api?: string
  readonly model?: LiveView['model']
  /** Versions behind the control plane. */
  readonly behind?: number
  readonly limits?: ExplainLimits
  /** Empty where the daemon decides as the control plane explained. */
  readonly differences: readonly string[]
}

/** With `live`. */
export interface LiveExplanation extends Explanation {
  readonly live: readonly LiveReport[]
}
