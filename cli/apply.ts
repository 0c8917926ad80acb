// Brings the live objects to what files say, one by one, as `kubectl apply` does. Used by `culvert apply` and the lab.
import { MeshError } from '../core/base/errors.ts'
import type { Kind } from '../core/model/kinds/kind.ts'
import { kindOf } from '../core/model/kinds.ts'
import type { MeshObject } from '../core/model/resource.ts'
import { type ApiClient, ApiError, type WriteOptions } from './client.ts'
import { toCreate, toUpdate } from './merge.ts'

export type ApplyOutcome = 'created' | 'configured' | 'unchanged'

export interface Applied {
  readonly object: MeshObject
  readonly outcome: ApplyOutcome
}

/** Another writer may come between reading and writing; then read again. */
const conflictRounds = 5

/** Applies one checked object. Throws ApiError. */
export async function applyObject(client: ApiClient, object: MeshObject, options: WriteOptions = {}): Promise<Applied> {
  const kind = servedKind(object)
  for (let round = 1; ; round++) {
    try {
      return await applyOnce(client, kind, object, options)
    } catch (error: unknown) {
      const conflict = error instanceof ApiError && error.status === 409
      if (!conflict || round === conflictRounds) throw error
    }
  }
}

async function applyOnce(client: ApiClient, kind: Kind, object: MeshObject, options: WriteOptions): Promise<Applied> {
  const { namespace = '', name } = object.metadata
  const live = await client.get(kind, namespace, name, object.apiVersion)
  if (live === undefined) return { object: await client.create(kind, toCreate(object), options), outcome: 'created' }
  const next = toUpdate(object, live)
  if (next === undefined) return { object: live, outcome: 'unchanged' }
  return { object: await client.update(kind, next, options), outcome: 'configured' }
}

/** The kind of an object. Throws RESOURCE_INVALID where it is not served. */
export function servedKind(object: MeshObject): Kind {
  const kind = kindOf(object.apiVersion, object.kind)
  if (kind === undefined) throw new MeshError('RESOURCE_INVALID', `${object.apiVersion} ${object.kind} is not served`)
  return kind
}

/** `service/orders`, `authorizationpolicy.security.istio.io/allow`, as kubectl prints objects. */
export function objectName(kind: Kind, name: string): string {
  return kind.group === '' ? `${kind.singular}/${name}` : `${kind.singular}.${kind.group}/${name}`
}
