// Whose bucket a request takes from: the parts of a RateLimitPolicy's key. Pure; asked by limiter.ts.

import { hash } from 'node:crypto'

export type KeyPart =
  /** SPIFFE identity of the caller, its namespace, its address. */
  | { readonly by: 'identity' | 'namespace' | 'source' }
  | { readonly by: 'header'; readonly name: string }
  /** Normalised path without the query. */
  | { readonly by: 'path' }
  | { readonly by: 'method' }
  /** Of a verified token: `['sub']`, `['realm', 'roles']`. */
  | { readonly by: 'claim'; readonly path: readonly string[] }

export interface LimitedRequest {
  readonly identity: string | undefined
  /** Of the caller's identity. */
  readonly namespace?: string | undefined
  /** Address of the caller. */
  readonly source?: string | undefined
  readonly method: string
  readonly path: string
  /** All values, in order; names in lower case. */
  header(name: string): readonly string[]
  /** Claims of the verified token; undefined without one. */
  readonly claims: Readonly<Record<string, unknown>> | undefined
}

/** Longer keys are hashed, so that a bucket's name has a bounded size. */
const longest = 256

/**
 * Different values never give the same key. Requests without a part share one bucket among them: leaving a header out is no way
 * around a limit.
 */
export function limitKey(limit: string, parts: readonly KeyPart[], request: LimitedRequest): string {
  const key = JSON.stringify([limit, ...parts.map((part) => partOf(part, request) ?? null)])
  return key.length <= longest ? key : hash('sha256', key, 'hex')
}

function partOf(part: KeyPart, request: LimitedRequest): string | readonly string[] | undefined {
  switch (part.by) {
    case 'identity':
      return request.identity
    case 'namespace':
      return request.namespace
    case 'source':
      return request.source
    case 'method':
      return request.method
    case 'path':
      return request.path.split(/[?#]/, 1)[0]
    case 'header': {
      const values = request.header(part.name.toLowerCase())
      return values.length === 0 ? undefined : values
    }
    case 'claim':
      return claimOf(part.path, request.claims)
  }
}

function claimOf(path: readonly string[], claims: LimitedRequest['claims']): string | undefined {
  let value: unknown = claims
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[name]
  }
  return value === undefined || value === null ? undefined : JSON.stringify(value)
}
