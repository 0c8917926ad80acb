// What the control plane says of its hosts (`GET /culvert/v1/status`). Used by `status` and the lab.
import type { HostStatus, MeshStatus } from '../core/model/mesh-status.ts'
import { type ApiClient, ApiError } from './client.ts'

export type { HostStatus, MeshStatus }

/** Undefined where the server is a Kubernetes API server, which knows nothing of our hosts. */
export async function meshStatus(client: ApiClient): Promise<MeshStatus | undefined> {
  try {
    return (await client.json('GET', '/culvert/v1/status')) as MeshStatus
  } catch (error: unknown) {
    if (error instanceof ApiError && error.status === 404) return undefined
    throw error
  }
}
