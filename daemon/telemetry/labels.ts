// Istio's standard labels of TCP metrics for one connection. Pure; telemetry.ts keeps the series that they name.
import type { Identity } from '../../core/identity/spiffe.ts'
import { formatIdentity } from '../../core/identity/spiffe.ts'
import { workloadIdentity } from '../../core/model/canonical.ts'
import type { Service, Workload } from '../../core/model/types.ts'
import { unknown, workloadLabelNames, workloadLabelValues } from '../../core/model/workload-labels.ts'
import type { SocketAddress } from '../../core/net/address.ts'

/** What is known of a connection once it is routed. `secure` says that it crosses, or crossed, a tunnel. */
export interface ConnectionFacts {
  /** `source`: the caller is local (outbound); `destination`: the one called is local (inbound). */
  readonly reporter: 'source' | 'destination'
  readonly source: {
    readonly address: SocketAddress
    readonly workload?: Workload | undefined
    /** Identity of the caller's certificate, on an inbound tunnel. */
    readonly identity?: Identity | undefined
  }
  readonly destination: {
    /** The end of the tunnel at the one called (port 15008), else the destination itself. */
    readonly address: SocketAddress
    /** `:authority` of the tunnel stream. */
    readonly hboneAddress?: SocketAddress | undefined
    readonly workload?: Workload | undefined
  }
  readonly service?: Service | undefined
  /** The waypoint on the way; `peer` where it asks for the caller (inbound). */
  readonly via?:
    | {
        /** `namespace/name`. */
        readonly waypoint: string
        readonly peer?: { readonly identity: Identity; readonly address: SocketAddress } | undefined
      }
    | undefined
  readonly secure: boolean
  /** What dry-run policies would have decided, where that differs. */
  readonly dryRun?: string | undefined
}

export const labelNames: readonly string[] = [
  'reporter',
  ...workloadLabelNames('source'),
  ...workloadLabelNames('destination'),
  'destination_service',
  'destination_service_name',
  'destination_service_namespace',
  'request_protocol',
  'response_flags',
  'connection_security_policy',
]

/** Values in the order of `labelNames`. `flag` is `-` or the access-log flag of an error. */
export function labelValues(facts: ConnectionFacts, clusterName: string, flag: string): readonly string[] {
  const { source, destination, service, secure } = facts
  const caller = source.identity === undefined ? undefined : formatIdentity(source.identity)
  return [
    facts.reporter,
    ...workloadLabelValues(source.workload, callerPrincipal(facts, caller), source.identity?.namespace, clusterName),
    ...workloadLabelValues(destination.workload, calledPrincipal(destination.workload), undefined, clusterName),
    service?.hostname ?? unknown,
    service?.name ?? unknown,
    service?.namespace ?? unknown,
    'tcp',
    flag,
    secure ? 'mutual_tls' : unknown,
  ]
}

/** The certificate is the most trustworthy source; a local caller's identity is known without one. */
function callerPrincipal(facts: ConnectionFacts, certificate: string | undefined): string {
  if (certificate !== undefined) return certificate
  const { workload } = facts.source
  return facts.reporter === 'source' && workload !== undefined ? workloadIdentity(workload) : unknown
}

function calledPrincipal(workload: Workload | undefined): string {
  return workload === undefined ? unknown : workloadIdentity(workload)
}
