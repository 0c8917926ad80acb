// The key of consistent hashing: which part of a request says where it goes. A caller without the cookie gets one. Pure; asked by the
// layer that balances.

import { hash32 } from './hash.ts'

export type HashKeyPolicy =
  | { readonly by: 'header'; readonly name: string }
  | {
      readonly by: 'cookie'
      readonly name: string
      /** Where the browser sends it; Istio's default is none. */
      readonly path?: string | undefined
      /**
       * Milliseconds that a cookie made here lives; 0 until the browser closes. Absent: none is made (Envoy's `ttl`), and who has
       * none is served by anyone.
       */
      readonly ttlMs?: number | undefined
      /** Further attributes: `{name: 'SameSite', value: 'Strict'}`, `{name: 'HttpOnly'}`. */
      readonly attributes?: readonly { readonly name: string; readonly value?: string | undefined }[] | undefined
    }
  | { readonly by: 'source' }
  | { readonly by: 'query'; readonly name: string }

/** What is read of a request. */
export interface HashedRequest {
  /** All values of the header, in order; names in lower case. */
  header(name: string): readonly string[]
  /** With the query, `/a?b=c`. */
  readonly path: string
  /** Address of the caller. */
  readonly source: string
}

export interface HashKey {
  /** Absent: the request has no key, and anyone may serve it. */
  readonly hash?: number | undefined
  /** Value of a Set-Cookie header for the answer. */
  readonly setCookie?: string | undefined
}

/** @param token makes the value of a new cookie: letters, digits, unguessable */
export function hashKey(policy: HashKeyPolicy, request: HashedRequest, token: () => string): HashKey {
  switch (policy.by) {
    case 'source':
      return { hash: hash32(request.source) }
    case 'query':
      return hashed(queryValue(request.path, policy.name))
    case 'header': {
      // As Envoy does: the same values in another order are the same key.
      const values = request.header(policy.name.toLowerCase())
      return hashed(values.length === 0 ? undefined : [...values].sort().join(','))
    }
    case 'cookie': {
      const value = cookieValue(request.header('cookie'), policy.name)
      if (value !== undefined || policy.ttlMs === undefined) return hashed(value)
      const made = token()
      return { hash: hash32(made), setCookie: setCookie(policy, policy.ttlMs, made) }
    }
  }
}

function hashed(value: string | undefined): HashKey {
  return value === undefined ? {} : { hash: hash32(value) }
}

/** First value of a name, percent-decoded; undefined where the name is absent. */
function queryValue(path: string, name: string): string | undefined {
  const at = path.indexOf('?')
  if (at < 0) return undefined
  return new URLSearchParams(path.slice(at + 1).split('#', 1)[0]).get(name) ?? undefined
}

/** First cookie of the name, without quotes; an empty one counts as absent. */
export function cookieValue(headers: readonly string[], name: string): string | undefined {
  for (const pair of headers.join(';').split(';')) {
    const at = pair.indexOf('=')
    if (at < 0 || pair.slice(0, at).trim() !== name) continue
    const value = pair
      .slice(at + 1)
      .trim()
      .replace(/^"(.*)"$/, '$1')
    if (value !== '') return value
  }
  return undefined
}

function setCookie(policy: HashKeyPolicy & { readonly by: 'cookie' }, ttlMs: number, value: string): string {
  const attributes = policy.attributes ?? []
  const named = new Set(attributes.map(({ name }) => name.toLowerCase()))
  return [
    `${policy.name}=${value}`,
    ...(policy.path === undefined || policy.path === '' ? [] : [`Path=${policy.path}`]),
    // Envoy rounds to seconds; less than one would delete the cookie at once.
    ...(ttlMs > 0 ? [`Max-Age=${Math.max(1, Math.round(ttlMs / 1000))}`] : []),
    ...attributes.map(({ name, value: given }) => (given === undefined || given === '' ? name : `${name}=${given}`)),
    ...(named.has('httponly') ? [] : ['HttpOnly']),
  ].join('; ')
}
