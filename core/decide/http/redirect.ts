// The Location of a redirect, exactly. Gateway API: HTTPRequestRedirectFilter; Istio: HTTPRedirect, as Envoy executes it.
import type { Redirect } from '../../model/routes.ts'
import type { RoutedRequest } from './request.ts'
import type { PathRewriter } from './rewrite.ts'

const defaultPorts = { http: 80, https: 443 } as const

export function locationOf(redirect: Redirect, request: RoutedRequest, rewrite: PathRewriter | undefined): string {
  const scheme = redirect.scheme ?? request.scheme
  const own = splitAuthority(redirect.host ?? request.authority)
  const port = portOf(redirect, request, own.port)
  const suffix = port === undefined || port === defaultPorts[scheme] ? '' : `:${port}`
  return `${scheme}://${own.host}${suffix}${pathOf(request, rewrite)}`
}

/** Undefined: none is written. */
function portOf(redirect: Redirect, request: RoutedRequest, written: number | undefined): number | undefined {
  const { port, scheme, host } = redirect
  if (typeof port === 'number') return port
  if (port === 'scheme') return undefined
  if (port === 'request-port') return request.port
  // Gateway API: the port of the scheme where one is given, otherwise that of the listener, in the mesh the frontend's
  if (port === 'frontend') return scheme === undefined ? request.port : undefined
  // Envoy: another host brings its own port; of the request's authority, the old scheme's default goes with the scheme
  if (host !== undefined) return written
  return scheme !== undefined && scheme !== request.scheme && written === defaultPorts[request.scheme]
    ? undefined
    : written
}

/** The host with the brackets of an IPv6 address, and the port. */
export function splitAuthority(authority: string): { readonly host: string; readonly port: number | undefined } {
  const found = /^(.*):(\d{1,5})$/.exec(authority)
  const bare = authority.includes(':', authority.indexOf(':') + 1) && !authority.includes(']')
  if (found === null || bare) return { host: authority, port: undefined }
  return { host: found[1]!, port: Number(found[2]) }
}

/** The query of the request stays, unless the new path brings one. */
function pathOf({ path, query }: RoutedRequest, rewrite: PathRewriter | undefined): string {
  const target = rewrite === undefined ? path : rewrite(path)
  return query === undefined || target.includes('?') ? target : `${target}?${query}`
}
