// A service behind a waypoint, as the compiled model has it. Used by the tables of route, authorize, inbound and explain.
import { serviceKey } from '../../core/model/snapshot.ts'
import type { Service, WaypointGateway, Workload } from '../../core/model/types.ts'
import { service, workload } from './model.ts'

export const wpKey = 'shop/wp.shop.svc.cluster.local'

/** The Service of Gateway `shop/wp`. */
export function waypoint(gateway: Partial<WaypointGateway> = {}, fields: Partial<Service> = {}): Service {
  return service({
    name: 'wp',
    vips: ['240.240.9.1', '2001:2::91'],
    ports: [{ name: 'mesh', port: 15008, protocol: 'TCP' }],
    gateway: { takes: 'service', whenUnreachable: 'refuse', bypass: 'refused', ...gateway },
    ...fields,
  })
}

/** An instance of it. */
export function instance(fields: Partial<Workload> = {}, of: Service = waypoint()): Workload {
  return workload({
    name: `${of.name}-1`,
    serviceAccount: of.name,
    addresses: ['10.0.5.1'],
    services: [{ service: serviceKey(of), ports: { 15008: 15008 } }],
    ...fields,
  })
}

export const identityOfWaypoint = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'wp' }
