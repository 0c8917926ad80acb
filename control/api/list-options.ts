// The query parameters that lists and watches share (`metav1.ListOptions`), checked as Kubernetes checks them.
import { ApiError, invalidOptions } from './errors.ts'
import { flag, wholeNumber } from './request.ts'

export interface ListOptions {
  /** Undefined where absent; 0 is "whatever you have". */
  readonly revision?: number
  readonly match?: 'Exact' | 'NotOlderThan'
  readonly limit?: number
  readonly continue?: string
  readonly sendInitialEvents?: boolean
}

/** Throws BadRequest, or Invalid as Kubernetes' ListOptions. */
export function listOptionsOf(url: URL): ListOptions {
  const revision = wholeNumber(url, 'resourceVersion')
  const match = url.searchParams.get('resourceVersionMatch') ?? ''
  const limit = wholeNumber(url, 'limit') ?? 0
  const token = url.searchParams.get('continue') ?? ''
  if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
    throw invalidOption(
      'resourceVersionMatch',
      `Unsupported value: "${match}": supported values: "Exact", "NotOlderThan", ""`,
    )
  }
  return {
    ...(revision === undefined ? {} : { revision }),
    ...(match === '' ? {} : { match }),
    ...(limit === 0 ? {} : { limit }),
    ...(token === '' ? {} : { continue: token }),
    ...(url.searchParams.has('sendInitialEvents') ? { sendInitialEvents: flag(url, 'sendInitialEvents') } : {}),
  }
}

export function checkListOptions(options: ListOptions): void {
  const { match, revision } = options
  if (options.sendInitialEvents !== undefined) {
    throw forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list')
  }
  if (match !== undefined && options.continue !== undefined) {
    throw forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided')
  }
  if (match !== undefined && revision === undefined) {
    throw forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided')
  }
  if (match === 'Exact' && revision === 0) {
    throw forbidden('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
  }
  if (options.continue !== undefined && revision !== undefined && revision > 0) {
    throw new ApiError('BadRequest', 'specifying resource version is not allowed when using continue')
  }
}

export function checkWatchOptions(options: ListOptions): void {
  if (options.sendInitialEvents === undefined) {
    if (options.match === undefined) return
    const message = 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'
    throw forbidden('resourceVersionMatch', message)
  }
  if (options.match !== 'NotOlderThan') {
    const message = 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'
    throw forbidden('resourceVersionMatch', message)
  }
}

function forbidden(field: string, message: string): ApiError {
  return invalidOption(field, `Forbidden: ${message}`)
}

function invalidOption(field: string, message: string): ApiError {
  return invalidOptions('ListOptions', field, message)
}
