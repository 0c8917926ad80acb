// What a waypoint says of itself to the control plane: one workload, with the identity of its Gateway. Pure; app.ts reports it.
import type { WorkloadReport } from '../core/feed/messages.ts'
import { gatewayName } from '../core/model/waypoint-labels.ts'
import { hostOf, instanceOf, type WaypointConfig } from './config.ts'
import type { Self } from './origin.ts'

type Facts = Pick<WaypointConfig, 'name' | 'instance' | 'address' | 'locality'>

/**
 * @param boot stays the same while the machine runs, so that a restart of the process is no change for anybody
 * @param open whether it takes tunnels, and is to be sent any
 */
export function reportOf(config: Facts, boot: string, open: boolean): WorkloadReport {
  const { namespace, name } = config.name
  const instance = instanceOf(config)
  return {
    uid: `${hostOf(config)}/${namespace}/${instance}/${boot}`,
    name: instance,
    namespace,
    serviceAccount: name,
    addresses: config.address,
    labels: { [gatewayName]: name },
    ports: {},
    locality: config.locality,
    weight: 1,
    captured: open,
    uncapturedConnections: 0,
  }
}

/** Key of the Service that stands for the waypoint, and where it is. */
export function selfOf(config: Facts, serviceDomain: string): Self {
  const { namespace, name } = config.name
  return { key: `${namespace}/${name}.${namespace}.${serviceDomain}`, addresses: config.address }
}

/** SPIFFE URI that it presents to both sides. */
export function identityOf({ name }: Pick<Facts, 'name'>, trustDomain: string): string {
  return `spiffe://${trustDomain}/ns/${name.namespace}/sa/${name.name}`
}
