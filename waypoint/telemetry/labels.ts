// Istio's standard labels of request metrics, and what the access log says of both ends. Pure; telemetry.ts keeps the series.
import { principalText, workloadIdentity } from '../../core/model/canonical.ts'
import type { Service, Workload } from '../../core/model/types.ts'
import { unknown, workloadLabelNames, workloadLabelValues } from '../../core/model/workload-labels.ts'
import { formatSocketAddress, type SocketAddress } from '../../core/net/address.ts'
import type { Origin } from '../exchange.ts'

/** What requests have in common that are counted together. */
export interface RequestFacts {
  readonly origin: Origin
  /** That the request was for: of its destination, else the one that the client addressed. */
  readonly service: Service | undefined
  /** Where the last try went. */
  readonly workload: Workload | undefined
  readonly address: SocketAddress | undefined
  readonly grpc: boolean
  /** 0 where the client got none. */
  readonly status: number
  readonly grpcStatus: number | undefined
  /** `-` where there is none. */
  readonly flags: string
}

const pairLabels: readonly string[] = [
  'reporter',
  ...workloadLabelNames('source'),
  ...workloadLabelNames('destination'),
  'destination_service',
  'destination_service_name',
  'destination_service_namespace',
]

/** Of connections that are not HTTP; the daemons' names. */
export const connectionLabels: readonly string[] = [
  ...pairLabels,
  'request_protocol',
  'response_flags',
  'connection_security_policy',
]

export const requestLabels: readonly string[] = [
  ...pairLabels,
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
]

type PairFacts = Pick<RequestFacts, 'origin' | 'service' | 'workload' | 'address'>

export type ConnectionFacts = PairFacts & { readonly flags: string }

/** In the order of `connectionLabels`. */
export function connectionLabelValues(facts: ConnectionFacts, clusterName: string): readonly string[] {
  return [...pairValues(facts, clusterName), 'tcp', facts.flags, 'mutual_tls']
}

/** In the order of `requestLabels`. */
export function requestLabelValues(facts: RequestFacts, clusterName: string): readonly string[] {
  return [
    ...pairValues(facts, clusterName),
    facts.grpc ? 'grpc' : 'http',
    String(facts.status),
    facts.grpc && facts.grpcStatus !== undefined ? grpcText(facts.grpcStatus) : '',
    facts.flags,
    'mutual_tls',
  ]
}

/** What an endpoint says that is no code of gRPC must not make a series each. */
function grpcText(status: number): string {
  return Number.isInteger(status) && status >= 0 && status <= 16 ? String(status) : unknown
}

function pairValues({ origin, service, workload }: PairFacts, clusterName: string): readonly string[] {
  return [
    'waypoint',
    ...workloadLabelValues(origin.workload, origin.principal, origin.identity.namespace, clusterName),
    ...workloadLabelValues(
      workload,
      workload === undefined ? unknown : workloadIdentity(workload),
      undefined,
      clusterName,
    ),
    service?.hostname ?? unknown,
    service?.name ?? unknown,
    service?.namespace ?? unknown,
  ]
}

/** The fields of the access log that are the same for all requests of one caller to one endpoint. As the daemon's. */
export function pairFields(facts: PairFacts, clusterName: string): Readonly<Record<string, string>> {
  const { origin, service, workload, address } = facts
  return {
    direction: 'waypoint',
    ...workloadFields('src', origin.workload, clusterName),
    'src.addr': formatSocketAddress(origin.address),
    'src.identity': `spiffe://${principalText(origin.identity)}`,
    ...(service === undefined ? {} : { 'dst.service': service.hostname }),
    ...workloadFields('dst', workload, clusterName),
    ...(address === undefined ? {} : { 'dst.addr': formatSocketAddress(address) }),
    ...(workload?.protocol === 'HBONE' ? { 'dst.identity': workloadIdentity(workload) } : {}),
  }
}

function workloadFields(
  side: 'src' | 'dst',
  workload: Workload | undefined,
  clusterName: string,
): Readonly<Record<string, string>> {
  if (workload === undefined) return {}
  return {
    [`${side}.workload`]: workload.name,
    [`${side}.namespace`]: workload.namespace,
    ...(clusterName === '' ? {} : { [`${side}.cluster`]: clusterName }),
  }
}
