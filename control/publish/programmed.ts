// Whether what an object says is in force: the condition `Programmed` of the Gateway API, for every kind. It is only once every host that
// carries workloads has acknowledged the version in which the object last changed. Pure.
import type { ObjectKey } from '../../core/model/resource.ts'
import type { CompiledKey, RefusedResource } from '../../core/model/types.ts'
import type { Finding } from '../compile/conditions.ts'

/** What a host has. */
export interface HostVersion {
  readonly host: string
  /** Acknowledged last, perhaps before it went away. */
  readonly version: number
  readonly connected: boolean
  readonly refused: readonly RefusedResource[]
}

const namesShown = 3

/** `version`: the one in which the object, or what was made of it, last changed. */
export function programmedOf(key: ObjectKey, version: number, hosts: readonly HostVersion[]): Finding {
  const refusing = hosts.flatMap(({ host, refused }) =>
    refused.filter((resource) => isOf(resource, key)).map(({ reason }) => ({ host, reason })),
  )
  const [refusal] = refusing
  if (refusal !== undefined) {
    const others = refusing.length > 1 ? ` (and ${refusing.length - 1} more)` : ''
    return notProgrammed('Refused', `${refusal.host} could not take it: ${refusal.reason}${others}`)
  }
  const behind = hosts.filter((host) => host.version < version)
  const away = behind.filter(({ connected }) => !connected)
  if (away.length > 0)
    return notProgrammed('HostAway', `${names(away)} still does what it was told before: not connected`)
  if (behind.length > 0) return notProgrammed('Pending', `${names(behind)} has not acknowledged it yet`)
  return { type: 'Programmed', status: 'True', reason: 'Programmed', message: '' }
}

function notProgrammed(reason: string, message: string): Finding {
  return { type: 'Programmed', status: 'False', reason, message }
}

function names(hosts: readonly HostVersion[]): string {
  const shown = hosts.slice(0, namesShown).map(({ host }) => host)
  const more = hosts.length > namesShown ? ` and ${hosts.length - namesShown} more` : ''
  return `${shown.join(', ')}${more}`
}

/** Whether a compiled resource was made of the object: their names say so. */
function isOf({ kind, key }: CompiledKey, object: ObjectKey): boolean {
  if (kind === 'Authorization')
    return object.kind === 'AuthorizationPolicy' && key === `${object.namespace}/${object.name}`
  if (kind === 'Service') return object.kind === 'Service' && key.startsWith(`${object.namespace}/${object.name}.`)
  return false
}
