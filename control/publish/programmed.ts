// Whether what an object says is in force: the condition `Programmed` of the Gateway API, for every kind. It is only once every host that
// has to do with it has acknowledged the version in which the object last changed. Pure; layer-seven.ts says which hosts have.
import type { View } from '../../core/feed/views.ts'
import type { ObjectKey } from '../../core/model/resource.ts'
import type { CompiledKey, RefusedResource } from '../../core/model/types.ts'
import type { Finding } from '../compile/conditions.ts'

/** What a host has. */
export interface HostVersion {
  readonly host: string
  readonly view: View
  /** `namespace/name` of the Gateways of whose waypoints it has instances. */
  readonly gateways: ReadonlySet<string>
  /** Acknowledged last, perhaps before it went away. */
  readonly version: number
  readonly connected: boolean
  readonly refused: readonly RefusedResource[]
}

/** Whether a compiled resource was made of an object. */
export type MadeOf = (resource: CompiledKey) => boolean

const namesShown = 3

/** `version`: the one in which the object, or what was made of it, last changed; `hosts`: those that must have it. */
export function programmedOf(madeOf: MadeOf, version: number, hosts: readonly HostVersion[]): Finding {
  const refusal = refusalBy(madeOf, hosts)
  if (refusal !== undefined) return refusal
  const behind = hosts.filter((host) => host.version < version)
  const away = behind.filter(({ connected }) => !connected)
  if (away.length > 0)
    return notProgrammed('HostAway', `${names(away)} still does what it was told before: not connected`)
  if (behind.length > 0) return pending(behind)
  return programmed
}

export const programmed: Finding = { type: 'Programmed', status: 'True', reason: 'Programmed', message: '' }

export function pending(behind: readonly HostVersion[]): Finding {
  return notProgrammed('Pending', `${names(behind)} has not acknowledged it yet`)
}

/** Undefined where all could take it. */
export function refusalBy(madeOf: MadeOf, hosts: readonly HostVersion[]): Finding | undefined {
  const refusing = hosts.flatMap(({ host, refused }) => refused.filter(madeOf).map(({ reason }) => ({ host, reason })))
  const [refusal] = refusing
  if (refusal === undefined) return undefined
  const others = refusing.length > 1 ? ` (and ${refusing.length - 1} more)` : ''
  return notProgrammed('Refused', `${refusal.host} could not take it: ${refusal.reason}${others}`)
}

export function notProgrammed(reason: string, message: string): Finding {
  return { type: 'Programmed', status: 'False', reason, message }
}

export function names(hosts: readonly HostVersion[]): string {
  const shown = hosts.slice(0, namesShown).map(({ host }) => host)
  const more = hosts.length > namesShown ? ` and ${hosts.length - namesShown} more` : ''
  return `${shown.join(', ')}${more}`
}

/** For kinds of which one resource is made: their names say so. */
export function madeOfObject(object: ObjectKey): MadeOf {
  const name = `${object.namespace}/${object.name}`
  return ({ kind, key }) => {
    if (kind === 'Authorization') return object.kind === 'AuthorizationPolicy' && key === name
    if (kind === 'RateLimit') return object.kind === 'RateLimitPolicy' && key === name
    return kind === 'Service' && (object.kind === 'Service' || object.kind === 'Gateway') && key.startsWith(`${name}.`)
  }
}
