// Requests for resources: by method they are reads, writes or deletions (…-requests.ts), and leave as the client asked for them. The
// HTTP shell (handler.ts) calls `answerResource`; watches are in watch-requests.ts.
import type { Store } from '../store/store.ts'
import { answerDelete } from './delete-requests.ts'
import { ApiError } from './errors.ts'
import { one, type ResourceRequest } from './presentation.ts'
import { answerRead } from './read-requests.ts'
import type { ApiAnswer } from './request.ts'
import type { Resources } from './resources.ts'
import { answerWrite } from './write-requests.ts'

/** Throws ApiError; MethodNotAllowed for a method that the collection, the object or its status has not. */
export async function answerResource(
  resources: Resources,
  store: Store,
  method: string,
  request: ResourceRequest,
): Promise<ApiAnswer> {
  const { name, subresource } = request.target
  if (method === 'GET') return answerRead(resources, store, request)
  if (method === 'DELETE' && subresource === undefined) return answerDelete(resources, store, request)
  const creates = method === 'POST' && name === undefined
  const changes = (method === 'PUT' || method === 'PATCH') && name !== undefined
  if (!creates && !changes) {
    throw new ApiError('MethodNotAllowed', `the server does not allow ${method} on the requested resource`)
  }
  const { status, object, warnings } = await answerWrite(resources, method, request)
  return { ...one(request, status, object), warnings }
}
