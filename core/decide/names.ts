// What a DNS name means in the mesh, and to which addresses it leads. Pure; the daemon's DNS turns the meaning into records,
// `explain` asks the same functions.
import type { Snapshot } from '../model/snapshot.ts'
import { serviceKey } from '../model/snapshot.ts'
import type { Service, ServicePort, Workload } from '../model/types.ts'
import { canonicalAddress } from '../net/address.ts'

export type Meaning =
  | { readonly kind: 'service'; readonly service: Service }
  /** One endpoint of a headless service, `<workload>.<service>.<namespace>.…`. */
  | { readonly kind: 'endpoint'; readonly workload: Workload }
  /** `_<port name>._tcp.<service>…`. */
  | { readonly kind: 'port'; readonly service: Service; readonly port: ServicePort }
  /** A virtual IP, asked backwards. */
  | { readonly kind: 'reverse'; readonly service: Service }
  /** The zone itself: exists, without addresses. */
  | { readonly kind: 'zone' }
  /** Would be the mesh's, but is not there. */
  | { readonly kind: 'absent' }
  /** Not the mesh's. */
  | { readonly kind: 'foreign' }

/** @param namespace of the workload that asks, for bare names; @param name in lower case, without the final dot */
export function meaningOf(snapshot: Snapshot, namespace: string, name: string): Meaning {
  const { serviceDomain } = snapshot.settings
  const zone = serviceDomain.toLowerCase()
  if (name === zone) return { kind: 'zone' }
  if (name.endsWith(`.${zone}`)) return inZone(snapshot, name) ?? { kind: 'absent' }
  const address = reverseAddress(name)
  if (address !== undefined) return reverse(snapshot, address)
  for (const full of expansions(name, namespace, zone)) {
    const meaning = inZone(snapshot, full)
    // Short forms of single endpoints would shadow ordinary three-label names such as www.example.com.
    if (meaning !== undefined && meaning.kind !== 'endpoint') return meaning
  }
  return { kind: 'foreign' }
}

/** Full names that a short one may stand for; the name itself first (outside hosts may be services too). */
function expansions(name: string, namespace: string, zone: string): readonly string[] {
  const service = name.replace(/^_[^.]+\._[^.]+\./, '')
  const dots = service.split('.').length - 1
  if (name === '') return []
  if (dots === 0) return [name, `${name}.${namespace.toLowerCase()}.${zone}`]
  if (dots === 1) return [name, `${name}.${zone}`]
  return dots === 2 && name.endsWith('.svc') ? [name, `${name.slice(0, -'.svc'.length)}.${zone}`] : [name]
}

function inZone(snapshot: Snapshot, name: string): Meaning | undefined {
  const service = snapshot.serviceByHostname(name)
  if (service !== undefined) return { kind: 'service', service }
  const [first = '', second = '', ...rest] = name.split('.')
  if (first.startsWith('_') && second.startsWith('_')) return portNamed(snapshot, first, second, rest.join('.'))
  const parent = snapshot.serviceByHostname([second, ...rest].join('.'))
  if (parent?.headless !== true) return undefined
  const workload = snapshot.endpointsOf(serviceKey(parent)).find((endpoint) => endpoint.name.toLowerCase() === first)
  return workload === undefined ? undefined : { kind: 'endpoint', workload }
}

function portNamed(snapshot: Snapshot, name: string, protocol: string, host: string): Meaning | undefined {
  const service = snapshot.serviceByHostname(host)
  const port = service?.ports.find(
    (each) => `_${each.name.toLowerCase()}` === name && `_${each.protocol.toLowerCase()}` === protocol,
  )
  return service === undefined || port === undefined ? undefined : { kind: 'port', service, port }
}

function reverse(snapshot: Snapshot, address: string): Meaning {
  const service = snapshot.serviceByVip(address)
  if (service !== undefined) return { kind: 'reverse', service }
  return snapshot.isVirtual(address) ? { kind: 'absent' } : { kind: 'foreign' }
}

/** The addresses of a service's name: its virtual IPs, or those of the endpoints that serve where it is headless. */
export function addressesOf(snapshot: Snapshot, service: Service): readonly string[] {
  if (!service.headless) return service.vips
  return serving(snapshot, service).flatMap((workload) => workload.addresses)
}

/** The endpoints that a headless service's name stands for. */
export function serving(snapshot: Snapshot, service: Service): readonly Workload[] {
  return snapshot.endpointsOf(serviceKey(service)).filter((workload) => workload.health === 'healthy')
}

/** The canonical address of a name under in-addr.arpa or ip6.arpa (RFC 1035 §3.5, RFC 3596 §2.5). */
export function reverseAddress(name: string): string | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name)
  if (v4 !== null) return canonicalAddress(v4.slice(1).reverse().join('.'))
  if (!/^(?:[0-9a-f]\.){32}ip6\.arpa$/.test(name)) return undefined
  const digits = name.slice(0, 63).split('.').reverse().join('')
  return canonicalAddress(digits.replace(/(.{4})(?!$)/g, '$1:'))
}
