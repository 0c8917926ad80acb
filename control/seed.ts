// What is there in every mesh from the beginning: namespaces that cannot be deleted, and the class of waypoints. Called by app.ts at start.
import type { MeshObject } from '../core/model/resource.ts'
import { ApiError } from './api/errors.ts'
import type { Resources } from './api/resources.ts'
import { waypointClass, waypointController } from './compile/waypoints/gateway.ts'

export const rootNamespace = 'culvert-system'
export const seededNamespaces: readonly string[] = ['default', rootNamespace]

const seeds: readonly MeshObject[] = [
  ...seededNamespaces.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
  {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GatewayClass',
    metadata: { name: waypointClass },
    spec: { controllerName: waypointController, description: 'Layer-7 proxies of services in the mesh' },
  },
]

/** Creates what is not there; what somebody changed stays. */
export async function seed(resources: Resources): Promise<void> {
  for (const object of seeds) {
    try {
      await resources.create(object)
    } catch (error: unknown) {
      if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error
    }
  }
}
