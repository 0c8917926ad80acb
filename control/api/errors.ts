// Errors of the API as Kubernetes clients know them: an HTTP code, a reason and a Status object. Everything that fails below the
// API server is turned into one of these by `asApiError`.
import { type ErrorCode, MeshError } from '../../core/base/errors.ts'
import type { ProblemReason } from '../../core/model/fields/field.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import { formatProblem, type Problem } from '../../core/model/problem.ts'

export interface StatusCause {
  readonly reason: string
  readonly message: string
  readonly field?: string
}

export interface StatusDetails {
  readonly name?: string
  readonly group?: string
  /** The plural resource name, as in Kubernetes; the kind's own name where the reason is Invalid. */
  readonly kind?: string
  readonly uid?: string
  readonly causes?: readonly StatusCause[]
  readonly retryAfterSeconds?: number
}

/** `continue` goes on with a list whose revision has gone. */
export interface StatusMetadata {
  readonly continue?: string
}

/** `meta/v1 Status`. */
export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: StatusMetadata
  readonly status: 'Success' | 'Failure'
  readonly message?: string
  readonly reason?: string
  readonly details?: StatusDetails
  readonly code: number
}

/** HTTP code of each reason (apimachinery, `StatusReason`). */
const reasons = {
  BadRequest: { code: 400, mesh: 'RESOURCE_INVALID' },
  Unauthorized: { code: 401, mesh: 'TOKEN_INVALID' },
  Forbidden: { code: 403, mesh: 'NODE_UNAUTHORIZED' },
  NotFound: { code: 404, mesh: 'RESOURCE_NOT_FOUND' },
  MethodNotAllowed: { code: 405, mesh: 'RESOURCE_INVALID' },
  NotAcceptable: { code: 406, mesh: 'RESOURCE_INVALID' },
  AlreadyExists: { code: 409, mesh: 'RESOURCE_CONFLICT' },
  Conflict: { code: 409, mesh: 'RESOURCE_CONFLICT' },
  Expired: { code: 410, mesh: 'RESOURCE_CONFLICT' },
  RequestEntityTooLarge: { code: 413, mesh: 'RESOURCE_INVALID' },
  UnsupportedMediaType: { code: 415, mesh: 'RESOURCE_INVALID' },
  Invalid: { code: 422, mesh: 'RESOURCE_INVALID' },
  TooManyRequests: { code: 429, mesh: 'LIMIT_REACHED' },
  InternalError: { code: 500, mesh: 'STORE_FAILED' },
  ServiceUnavailable: { code: 503, mesh: 'STORE_FAILED' },
  Timeout: { code: 504, mesh: 'RESOURCE_CONFLICT' },
} as const satisfies Record<string, { code: number; mesh: ErrorCode }>

export type StatusReason = keyof typeof reasons

/** Messages repeat what they complain about, and that may have megabytes. */
const maxMessage = 16 * 1024
const maxName = 253

function clipped(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}…`
}

export class ApiError extends MeshError {
  readonly reason: StatusReason
  readonly status: number
  readonly details: StatusDetails | undefined
  readonly #metadata: StatusMetadata

  constructor(
    reason: StatusReason,
    message: string,
    options: { details?: StatusDetails; cause?: unknown; metadata?: StatusMetadata } = {},
  ) {
    super(reasons[reason].mesh, clipped(message, maxMessage), options)
    this.name = 'ApiError'
    this.reason = reason
    this.status = reasons[reason].code
    this.details = options.details
    this.#metadata = options.metadata ?? {}
  }

  toStatus(): Status {
    const details = this.details === undefined ? {} : { details: this.details }
    const head = { kind: 'Status', apiVersion: 'v1', metadata: this.#metadata, status: 'Failure' } as const
    return { ...head, message: this.message, reason: this.reason, ...details, code: this.status }
  }
}

export function success(details: StatusDetails): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details, code: 200 }
}

/** `services` or `authorizationpolicies.security.istio.io`, as Kubernetes messages name resources. */
export function resourceName(kind: Kind): string {
  return kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`
}

export function detailsOf(kind: Kind, wanted: string): StatusDetails {
  const name = clipped(wanted, maxName)
  return kind.group === '' ? { name, kind: kind.plural } : { name, group: kind.group, kind: kind.plural }
}

export function notFound(kind: Kind, name: string): ApiError {
  return new ApiError('NotFound', `${resourceName(kind)} "${name}" not found`, { details: detailsOf(kind, name) })
}

export function alreadyExists(kind: Kind, name: string): ApiError {
  const message = `${resourceName(kind)} "${name}" already exists`
  return new ApiError('AlreadyExists', message, { details: detailsOf(kind, name) })
}

export function conflict(kind: Kind, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${resourceName(kind)} "${name}": ${why}`
  return new ApiError('Conflict', message, { details: detailsOf(kind, name) })
}

/** A revision that is not reached yet, as it is from before a restore or from another mesh (apiserver, `NewTooLargeResourceVersionError`). */
export function tooLargeRevision(wanted: number, current: number): ApiError {
  const cause = { reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }
  const message = `Timeout: Too large resource version: ${wanted}, current: ${current}`
  return new ApiError('Timeout', message, { details: { causes: [cause], retryAfterSeconds: 1 } })
}

/** What is wrong with one of the options of a request (`metav1.ListOptions`, `metav1.DeleteOptions`). */
export function invalidOptions(kind: string, field: string, message: string): ApiError {
  const causes = [{ reason: 'FieldValueInvalid', message, field }]
  const details = { group: 'meta.k8s.io', kind, causes }
  return new ApiError('Invalid', `${kind}.meta.k8s.io "" is invalid: ${field}: ${message}`, { details })
}

const causeReasons: Readonly<Record<ProblemReason, string>> = {
  required: 'FieldValueRequired',
  unknown: 'FieldValueInvalid',
  type: 'FieldValueTypeInvalid',
  invalid: 'FieldValueInvalid',
  unsupported: 'FieldValueNotSupported',
  duplicate: 'FieldValueDuplicate',
  refused: 'FieldValueForbidden',
}

/** `Service` or `AuthorizationPolicy.security.istio.io`. */
export function qualifiedKind(kind: Kind): string {
  return kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`
}

/** Where something is invalid, Kubernetes names the kind and not the resource: `The Service "x" is invalid`. */
export function invalidDetails(kind: Kind, name: string): StatusDetails {
  return { ...detailsOf(kind, name), kind: kind.kind }
}

/** 422 with one cause per problem. */
export function invalid(kind: Kind, named: unknown, problems: readonly Problem[]): ApiError {
  // what is invalid may be the name
  const name = typeof named === 'string' ? clipped(named, maxName) : ''
  const causes = problems.map(({ path, message, reason }) => ({
    reason: causeReasons[reason ?? 'invalid'],
    message,
    field: path,
  }))
  const list = problems.map(formatProblem).join('; ')
  const message = `${qualifiedKind(kind)} "${name}" is invalid: ${list}`
  return new ApiError('Invalid', message, { details: { ...invalidDetails(kind, name), causes } })
}

const meshReasons: Partial<Record<ErrorCode, StatusReason>> = {
  RESOURCE_INVALID: 'Invalid',
  CONFIG_INVALID: 'BadRequest',
  RESOURCE_NOT_FOUND: 'NotFound',
  RESOURCE_CONFLICT: 'Conflict',
  TOKEN_INVALID: 'Unauthorized',
  IDENTITY_INVALID: 'Unauthorized',
  NODE_UNAUTHORIZED: 'Forbidden',
  STORE_FAILED: 'ServiceUnavailable',
  DRAINING: 'ServiceUnavailable',
  LIMIT_REACHED: 'ServiceUnavailable',
}

/** What a client is told. Errors that are not of the mesh stay inside: the log has them. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (!(error instanceof MeshError))
    return new ApiError('InternalError', 'internal error; the log of the control plane tells more', { cause: error })
  return new ApiError(meshReasons[error.code] ?? 'InternalError', error.message, { cause: error })
}
