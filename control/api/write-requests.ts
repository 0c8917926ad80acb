// Requests that change an object: POST, PUT and PATCH, of the object or its status. resource-requests.ts calls `answerWrite` and
// shows what comes back as the client asked.
import type { MeshObject } from '../../core/model/resource.ts'
import { checkPreconditions } from './admission.ts'
import { formatFieldPath } from './apply/field-set.ts'
import { keyProblems, rootField } from './apply/typed.ts'
import { mediaType } from './body.ts'
import type { ApiError } from './errors.ts'
import { settleFields, undecodable } from './field-validation.ts'
import { readPatch } from './patch/patch.ts'
import type { ResourceTarget } from './paths.ts'
import { atVersion } from './representation.ts'
import type { ApiRequest } from './request.ts'
import type { Resources, Written } from './resources.ts'
import { checkDepth, checkSize } from './size.ts'
import { agree, asConfiguration, asInput, asObjectOf, asPreconditions, asStatus } from './write-input.ts'
import { isApply, type WriteQuery, writeQuery } from './write-options.ts'

export interface WriteRequest extends ApiRequest {
  readonly target: ResourceTarget
}

export interface WriteAnswer extends Written {
  readonly status: number
}

type Fields = Readonly<Record<string, unknown>>

/** What a change to an object is made of: the request, its options, and what is to be told besides the answer. */
interface Work {
  readonly resources: Resources
  readonly request: WriteRequest
  readonly query: WriteQuery
  readonly status: boolean
}

export async function answerWrite(
  resources: Resources,
  method: 'POST' | 'PUT' | 'PATCH',
  request: WriteRequest,
): Promise<WriteAnswer> {
  const type = mediaType(request.request)
  const applies = isApply(method, type)
  const status = request.target.subresource === 'status'
  const work: Work = { resources, request, query: writeQuery(method, applies, request), status }
  if (applies) return apply(work)
  return method === 'PATCH' ? patch(work, type) : put(work, method === 'POST')
}

async function put({ resources, request, query, status }: Work, creates: boolean): Promise<WriteAnswer> {
  const { target } = request
  const { value, duplicates } = await request.document()
  const { object, warnings } = settled(asInput(value, target), target, query, duplicates)
  if (status) return putStatus(resources, target, object, query, warnings)
  const input = asObjectOf(object)
  const written = creates ? await resources.create(input, query) : await resources.update(input, query)
  return { status: creates ? 201 : 200, ...told(written, warnings) }
}

async function putStatus(
  resources: Resources,
  target: ResourceTarget,
  input: Fields,
  query: WriteQuery,
  warnings: readonly string[],
): Promise<WriteAnswer> {
  const { kind, namespace = '', name = '' } = target
  const options = { ...query, preconditions: asPreconditions(input) }
  const change = () => asStatus(input['status'])
  return { status: 200, object: await resources.modifyStatus(kind, namespace, name, change, options), warnings }
}

/** A patch is unconditional unless it names a revision itself: it is made of the object as it is when its turn comes. */
async function patch({ resources, request, query, status }: Work, type: string): Promise<WriteAnswer> {
  const { target } = request
  const { kind, namespace = '', name = '' } = target
  const { value, duplicates } = await request.document()
  const apply = readPatch(kind, type, value)
  let warnings: readonly string[] = []
  const change = (old: MeshObject): Fields => {
    const result = apply(atVersion(old, target.apiVersion) as unknown as Fields)
    agree('apiVersion', result['apiVersion'], target.apiVersion)
    agree('kind', result['kind'], kind.kind)
    const found = settled(result, target, query, duplicates)
    warnings = found.warnings
    return found.object
  }
  if (status) {
    const changed = (old: MeshObject) => {
      const result = change(old)
      checkPreconditions(kind, old, asPreconditions(result))
      return asStatus(result['status'])
    }
    const object = await resources.modifyStatus(kind, namespace, name, changed, query)
    return { status: 200, object, warnings }
  }
  const written = await resources.modify(kind, namespace, name, (old) => asObjectOf(change(old)), query)
  return { status: 200, ...told(written, warnings) }
}

async function apply({ resources, request, query, status }: Work): Promise<WriteAnswer> {
  const { target } = request
  const { kind, namespace = '', name = '' } = target
  const { value, duplicates } = await request.document()
  const { object: config, warnings } = settled(asConfiguration(value, target), target, query, duplicates)
  checkKeys(config, target)
  if (status) {
    const options = { ...query, checkStatus: asStatus }
    return { status: 200, object: await resources.applyStatus(kind, namespace, name, config, options), warnings }
  }
  const written = await resources.applyConfiguration(kind, namespace, name, config, query)
  return { status: written.created ? 201 : 200, ...told(written, warnings) }
}

function settled(object: Fields, target: ResourceTarget, query: WriteQuery, duplicates: readonly string[]) {
  const { kind, apiVersion } = target
  checkDepth(object)
  checkSize(object)
  const refuse = (text: string): ApiError => undecodable(kind, apiVersion, text)
  return settleFields(object, { kind, fieldValidation: query.fieldValidation, duplicates, refuse })
}

/** Throws BadRequest where a list of the configuration has no, or twice the same, key. */
function checkKeys(config: Fields, { kind, apiVersion }: ResourceTarget): void {
  const problems = [...keyProblems(config, rootField(kind))].slice(0, 20)
  if (problems.length === 0) return
  const texts = problems.map(([at, message]) => `${formatFieldPath(at)}: ${message}`).join('; ')
  throw undecodable(kind, apiVersion, `failed to create typed patch object: ${texts}`)
}

function told({ object, warnings }: Written, more: readonly string[]): Written {
  return { object, warnings: [...more, ...warnings] }
}
