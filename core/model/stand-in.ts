// What a Snapshot enforces in place of what it could not read. An Authorization: deny everything that the policy may have been about.
// Routes: no request passes, since any other way than the written one may be a forbidden one. The mesh fails closed.
import { isObject } from './compiled-check.ts'
import type { RouteGroup, RouteOrigin, RouteTable } from './routes.ts'
import type { Authorization } from './types.ts'

const scopes: readonly unknown[] = ['mesh', 'namespace', 'workload'] satisfies readonly Authorization['scope'][]

/**
 * A deny-all with the scope that the unreadable `value` names, else that of its predecessor, else the widest one that its
 * key allows. A policy that says it is a dry run does not decide, so neither does its stand-in.
 */
export function denyAllFor(
  key: string,
  value: unknown,
  previous: Authorization | undefined,
  rootNamespace: string,
): Authorization {
  const [namespace = '', ...rest] = key.split('/')
  const fields = isObject(value) ? value : {}
  const named = scopes.includes(fields['scope']) ? (fields['scope'] as Authorization['scope']) : undefined
  const widest = namespace === '' || rest.length === 0 || namespace === rootNamespace ? 'mesh' : 'namespace'
  return {
    namespace,
    name: rest.join('/'),
    scope: named ?? previous?.scope ?? widest,
    action: 'DENY',
    rules: [{ index: 0, clauses: [] }],
    dryRun: fields['dryRun'] === true,
  }
}

/**
 * Answers every request to the frontend with 503 and refuses every other connection. Undefined where the key names no frontend:
 * nobody would look there.
 */
export function unreadableRoutes(key: string, reason: string): RouteTable | undefined {
  const [, service = '', namespace = '', hostname = '', digits = ''] =
    /^(([^/]+)\/([^/:]+)):([1-9]\d{0,4})$/.exec(key) ?? []
  if (service === '' || Number(digits) > 65535) return undefined
  const origin: RouteOrigin = { kind: 'Service', namespace, name: hostname, index: 0 }
  const answer = { kind: 'respond', status: 503, reason: `its routes cannot be read: ${reason}` } as const
  const everyone: RouteGroup = {
    precedence: 'first',
    routes: [{ origin, matches: [], action: answer, filters: {} }],
    connections: [],
  }
  return { service, port: Number(digits), everyone, consumers: {} }
}
