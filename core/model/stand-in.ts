// What a Snapshot enforces in place of an Authorization that it could not read: deny everything that the policy may have
// been about. The mesh fails closed, and the refusal names the policy.
import { isObject } from './compiled-check.ts'
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
