// The endpoints of a destination as the balancer sees them, out of the workloads of the compiled model. Pure; asked by cluster.ts.
import type { Workload } from '../../core/model/types.ts'
import { type AddressFamily, familyOf } from '../../core/net/address.ts'
import type { EndpointFacts } from '../balance/endpoint-table.ts'
import type { UpstreamTarget } from '../upstream/upstream.ts'
import { localityOf } from './options.ts'

/** An endpoint, and how a try gets there. */
export interface ServingFacts extends EndpointFacts {
  readonly upstream: UpstreamTarget
}

/** All that targets of one destination have in common. */
export interface TargetOptions extends Omit<UpstreamTarget, 'workload' | 'address'> {
  /** Families in which the waypoint has an address itself; where absent an endpoint's first address serves. */
  readonly families?: readonly AddressFamily[] | undefined
}

/** The workload as an endpoint of a port of a service; undefined where it does not have that port. */
export function endpointOf(
  workload: Workload,
  service: string,
  port: number,
  options: TargetOptions,
): ServingFacts | undefined {
  const membership = workload.services.find((candidate) => candidate.service === service)
  const key = String(port)
  if (membership === undefined || !Object.hasOwn(membership.ports, key)) return undefined
  return factsOf(workload, membership.ports[key]!, workload.health === 'healthy', options)
}

/** The workload by its own address: nobody else could serve, so its health does not matter. */
export function workloadEndpoint(workload: Workload, port: number, options: TargetOptions): ServingFacts | undefined {
  return factsOf(workload, port, true, options)
}

function factsOf(
  workload: Workload,
  port: number,
  healthy: boolean,
  { families, ...options }: TargetOptions,
): ServingFacts | undefined {
  const { addresses } = workload
  const address = addresses.find((each) => families?.includes(familyOf(each))) ?? addresses[0]
  if (address === undefined) return undefined
  const target = { address, port }
  return {
    key: `${workload.uid} ${port}`,
    place: `${workload.namespace}/${workload.name} ${port}`,
    target,
    weight: workload.weight,
    healthy,
    locality: localityOf(workload.locality),
    labels: workload.labels,
    upstream: { ...options, workload, address: target },
  }
}

export function hasLabels(workload: Workload, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(
    ([name, value]) => Object.hasOwn(workload.labels, name) && workload.labels[name] === value,
  )
}
