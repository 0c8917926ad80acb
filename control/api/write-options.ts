// The query of a request that changes an object: who writes, how strictly, by force, or only as a trial (`metav1.CreateOptions`,
// `UpdateOptions`, `PatchOptions`). write-requests.ts reads it before the body.
import { ApiError, invalidOptions } from './errors.ts'
import { type ApiRequest, flag, isDryRun } from './request.ts'

/** What becomes of unknown and duplicate fields: all of them an error, dropped with warnings, or dropped. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore'

const fieldValidations: readonly FieldValidation[] = ['Ignore', 'Strict', 'Warn']

export interface WriteQuery {
  readonly dryRun: boolean
  readonly manager: string
  /** undefined: nothing is dropped, and unknown fields are causes among others. */
  readonly fieldValidation: FieldValidation | undefined
  readonly force: boolean
}

const maxManagerBytes = 128

/** Throws Invalid and BadRequest where an option is not what it may be. */
export function writeQuery(method: string, applies: boolean, request: ApiRequest): WriteQuery {
  const { url } = request
  const kind = method === 'POST' ? 'CreateOptions' : method === 'PUT' ? 'UpdateOptions' : 'PatchOptions'
  const given = url.searchParams.get('fieldManager') ?? ''
  checkManager(kind, given)
  if (applies && given === '') throw invalidOptions(kind, 'fieldManager', 'Required value: is required for apply patch')
  if (!applies && url.searchParams.has('force') && method === 'PATCH')
    throw invalidOptions(kind, 'force', 'Forbidden: may not be specified for non-apply patch')
  return {
    dryRun: isDryRun(url),
    manager: given === '' ? agentName(request) : given,
    fieldValidation: fieldValidationOf(kind, url),
    force: flag(url, 'force'),
  }
}

function checkManager(kind: string, manager: string): void {
  if (Buffer.byteLength(manager) > maxManagerBytes) {
    const message = `Too long: may not be more than ${maxManagerBytes} bytes`
    throw invalidOptions(kind, 'fieldManager', message)
  }
  if (!/^[\P{C}]*$/u.test(manager)) {
    const message = `Invalid value: ${JSON.stringify(manager)}: should only contain printable characters`
    throw invalidOptions(kind, 'fieldManager', message)
  }
}

/** A client that does not say who it is goes by its program: `kubectl` of `kubectl/v1.32 (linux/amd64)`. */
function agentName({ request }: ApiRequest): string {
  const name = (request.headers['user-agent'] ?? '').split('/', 1)[0]!.replace(/[^\x20-\x7e]/g, '')
  return name === '' ? 'unknown' : name.slice(0, maxManagerBytes)
}

function fieldValidationOf(kind: string, url: URL): FieldValidation | undefined {
  const text = url.searchParams.get('fieldValidation') ?? ''
  if (text === '') return undefined
  const found = fieldValidations.find((name) => name === text)
  if (found !== undefined) return found
  const known = fieldValidations.map((name) => `"${name}"`).join(', ')
  const message = `Unsupported value: ${JSON.stringify(text)}: supported values: ${known}`
  throw invalidOptions(kind, 'fieldValidation', message)
}

/** Whether the request is a server-side apply. */
export function isApply(method: string, type: string): boolean {
  return method === 'PATCH' && type === 'application/apply-patch+yaml'
}

export function unsupportedPatch(type: string, accepted: readonly string[]): ApiError {
  const what = 'the body of the request was in an unknown format - accepted media types include'
  return new ApiError('UnsupportedMediaType', `${what}: ${accepted.join(', ')} (found "${type}")`)
}
