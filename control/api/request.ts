// What the HTTP shell hands to whoever answers, and what it takes back.
import type { IncomingMessage } from 'node:http'
import type { BodyDocument } from './body.ts'
import { ApiError } from './errors.ts'

/** Who is asking, as `authenticate` found out. */
export interface Caller {
  readonly name: string
  readonly groups: readonly string[]
  /** May read, but not write. */
  readonly readOnly?: boolean
}

export interface ApiRequest {
  readonly request: IncomingMessage
  readonly url: URL
  readonly caller: Caller
  /** The parsed body, JSON or YAML; undefined where it is empty. Throws ApiError. */
  body(): Promise<unknown>
  /** The same, with the keys that stand twice instead of an error. */
  document(): Promise<BodyDocument>
  /** Aborts when the client is gone or the server closes. */
  readonly signal: AbortSignal
}

export interface ApiAnswer {
  readonly status: number
  readonly body: unknown
  /** Texts for Warning headers. */
  readonly warnings?: readonly string[]
  /** Content type; a body that is a string or a Buffer is then sent as it is. */
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

export type Handler = (request: ApiRequest) => Promise<ApiAnswer>

/** `dryRun=All` is the only value that Kubernetes knows. */
export function isDryRun(url: URL, options?: Readonly<Record<string, unknown>>): boolean {
  const inBody = Array.isArray(options?.['dryRun']) ? options['dryRun'] : []
  const values: readonly unknown[] = [...url.searchParams.getAll('dryRun'), ...inBody]
  if (values.some((value) => value !== 'All')) throw new ApiError('BadRequest', 'dryRun must be "All"')
  return values.length > 0
}

/** A whole number of a query parameter; undefined where it is absent or empty. */
export function wholeNumber(url: URL, name: string): number | undefined {
  const text = url.searchParams.get(name) ?? ''
  if (text === '') return undefined
  if (!/^\d{1,15}$/.test(text)) throw new ApiError('BadRequest', `${name} "${text}" is not a whole number`)
  return Number(text)
}

export function flag(url: URL, name: string): boolean {
  const text = url.searchParams.get(name)
  return text === '' || text === 'true' || text === '1'
}
