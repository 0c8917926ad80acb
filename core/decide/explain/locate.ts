// Who and what a question is about: names as people write them, looked up in the model as the mesh's DNS would. Throws
// RESOURCE_NOT_FOUND with names that are near, RESOURCE_INVALID where more must be said.
import { MeshError } from '../../base/errors.ts'
import type { Capture, ExplainedWorkload, ExplainQuestion } from '../../model/explanation.ts'
import { type Snapshot, serviceKey } from '../../model/snapshot.ts'
import { nearestOf } from '../../model/suggest.ts'
import type { Service, Workload } from '../../model/types.ts'
import {
  canonicalAddress,
  familyOf,
  formatSocketAddress,
  type SocketAddress,
  splitHostPort,
} from '../../net/address.ts'
import { addressesOf, meaningOf } from '../names.ts'
import { isInstance } from '../waypoint.ts'

export interface Source {
  readonly workload: Workload | undefined
  /** What it may connect from; the one that was asked about where it was an address. */
  readonly addresses: readonly string[]
  readonly capture: Capture
}

export interface Destination {
  readonly kind: 'service' | 'workload' | 'address' | 'name'
  readonly port: number
  readonly addresses: readonly string[]
  readonly service?: Service
  readonly workload?: Workload
  /** A namespace of the mesh, where a name outside it reads like one of its services but is none. */
  readonly namespaceWithout?: string
}

/** What the model says of a workload's capture; peers go by the tunnel, so it is what counts. */
export function captureOf({ enrolled, protocol }: Workload): Capture {
  if (protocol === 'HBONE') return enrolled ? 'captured' : 'leaving'
  return enrolled ? 'pending' : 'outside'
}

/** Whether a proxy stands before the workload now. */
export function isCaptured({ protocol }: Workload): boolean {
  return protocol === 'HBONE'
}

export function describeWorkload(workload: Workload): ExplainedWorkload {
  const { uid, namespace, name, node: host } = workload
  return { uid, namespace, name, host, capture: captureOf(workload) }
}

export function locateSource(snapshot: Snapshot, { source: text, namespace }: ExplainQuestion): Source {
  const address = canonicalAddress(text)
  if (address !== undefined) {
    const workload = snapshot.workloadByAddress(address)
    if (workload === undefined) return { workload, addresses: [address], capture: 'unknown' }
    return { workload, addresses: [address], capture: captureOfSource(snapshot, workload) }
  }
  const workload = workloadNamed(snapshot, text, namespace)
  if (workload === undefined) {
    const separator = text.includes('/') ? '/' : '.'
    throw unknown(`no workload "${text}"`, text, workloadNames(snapshot, separator))
  }
  return { workload, addresses: workload.addresses, capture: captureOfSource(snapshot, workload) }
}

function captureOfSource(snapshot: Snapshot, workload: Workload): Capture {
  return isInstance(snapshot, workload) ? 'waypoint' : captureOf(workload)
}

/** @param namespace of the source, in which bare names are looked up */
export function locateDestination(snapshot: Snapshot, text: string, namespace: string | undefined): Destination {
  const parts = canonicalAddress(text) === undefined ? splitHostPort(text) : undefined
  const host = parts?.host ?? text
  const port = parts?.port
  if (port === 0) throw new MeshError('RESOURCE_INVALID', `"${text}": 0 is not a port that one connects to`)
  const address = canonicalAddress(host.replace(/^\[(.*)\]$/, '$1'))
  if (address !== undefined) return atAddress(snapshot, address, port)
  const name = host.replace(/\.$/, '').toLowerCase()
  if (name === '' || /[\s:[\]]/.test(name)) {
    throw new MeshError(
      'RESOURCE_INVALID',
      `"${text}" is neither a name nor an address: write name.namespace:port or ip:port`,
    )
  }
  return host.includes('/') ? slashed(snapshot, host, port) : named(snapshot, name, port, namespace)
}

function atAddress(snapshot: Snapshot, address: string, port: number | undefined): Destination {
  const service = snapshot.serviceByVip(address)
  if (service !== undefined) {
    return { kind: 'address', port: port ?? onlyPort(service), addresses: [address], service }
  }
  const workload = snapshot.workloadByAddress(address)
  if (workload !== undefined) {
    return { kind: 'address', port: port ?? onlyPortOf(workload), addresses: [address], workload }
  }
  if (port !== undefined) return { kind: 'address', port, addresses: [address] }
  const example = formatSocketAddress({ address, port: 8080 })
  throw new MeshError('RESOURCE_INVALID', `to which port of ${address}? Write ${example}, for example`)
}

/** `namespace/name` or a uid: a workload, or else a service. */
function slashed(snapshot: Snapshot, text: string, port: number | undefined): Destination {
  const workload = workloadNamed(snapshot, text, undefined)
  if (workload !== undefined) return toWorkload(workload, port)
  const service = [...snapshot.services()].find(({ namespace, name }) => `${namespace}/${name}` === text)
  if (service !== undefined) return toService(snapshot, service, port)
  const services = [...snapshot.services()].map(({ namespace, name }) => `${namespace}/${name}`)
  throw unknown(`no workload or service "${text}"`, text, [...workloadNames(snapshot), ...services])
}

function named(snapshot: Snapshot, name: string, port: number | undefined, namespace: string | undefined): Destination {
  const meaning = meaningOf(snapshot, namespace ?? 'default', name)
  if (meaning.kind === 'service') return toService(snapshot, meaning.service, port)
  if (meaning.kind === 'endpoint') return toWorkload(meaning.workload, port)
  if (meaning.kind === 'port' || meaning.kind === 'reverse' || meaning.kind === 'zone') {
    throw new MeshError('RESOURCE_INVALID', `"${name}" is a DNS name without addresses: name a service or a workload`)
  }
  const workload = workloadNamed(snapshot, name, name.includes('.') ? undefined : namespace)
  if (workload !== undefined) return toWorkload(workload, port)
  const known = [...serviceNames(snapshot), ...workloadNames(snapshot, '.')]
  const near = nearestOf(name, known)
  if (meaning.kind === 'absent' || near !== undefined || !name.includes('.')) {
    throw unknown(`no service or workload "${name}"`, name, known)
  }
  const namespaceWithout = namespaceLike(snapshot, name)
  if (port !== undefined) {
    return { kind: 'name', port, addresses: [], ...(namespaceWithout === undefined ? {} : { namespaceWithout }) }
  }
  throw new MeshError('RESOURCE_INVALID', `to which port of ${name}? Write ${name}:443, for example`)
}

/** The namespace in `x.shop` and `x.shop.svc`. It may still be a name outside: some top-level domains are called like namespaces. */
function namespaceLike(snapshot: Snapshot, name: string): string | undefined {
  const [, namespace] = /^[^.]+\.([^.]+)(?:\.svc)?$/.exec(name) ?? []
  if (namespace === undefined) return undefined
  const known = (each: Service | Workload): boolean => each.namespace === namespace
  return [...snapshot.services(), ...snapshot.workloads()].some(known) ? namespace : undefined
}

function toService(snapshot: Snapshot, service: Service, port: number | undefined): Destination {
  return { kind: 'service', port: port ?? onlyPort(service), addresses: addressesOf(snapshot, service), service }
}

function toWorkload(workload: Workload, port: number | undefined): Destination {
  return { kind: 'workload', port: port ?? onlyPortOf(workload), addresses: workload.addresses, workload }
}

/** Throws RESOURCE_INVALID unless the service has one port. */
function onlyPort(service: Service): number {
  return theOnly(
    service.ports.map(({ port }) => port),
    `service ${serviceKey(service)}`,
  )
}

/** The port that the services of a workload lead to. */
function onlyPortOf({ namespace, name, services }: Workload): number {
  return theOnly(
    services.flatMap(({ ports }) => Object.values(ports)),
    `workload ${namespace}/${name}`,
  )
}

function theOnly(ports: readonly number[], what: string): number {
  const [first, ...others] = [...new Set(ports)].sort((a, b) => a - b)
  if (first !== undefined && others.length === 0) return first
  const known = first === undefined ? 'the mesh knows none' : `it has ${[first, ...others].join(', ')}`
  throw new MeshError('RESOURCE_INVALID', `to which port of ${what}? ${known}: append one, as in :8080`)
}

/** By uid, `namespace/name`, `name.namespace` or bare name. Throws RESOURCE_INVALID where it fits several. */
function workloadNamed(snapshot: Snapshot, text: string, namespace: string | undefined): Workload | undefined {
  const exact = snapshot.workloadByUid(text)
  if (exact !== undefined) return exact
  const found = [...snapshot.workloads()].filter((workload) => {
    if (text === `${workload.namespace}/${workload.name}` || text === `${workload.name}.${workload.namespace}`)
      return true
    return text === workload.name && (namespace === undefined || namespace === workload.namespace)
  })
  if (found.length < 2) return found[0]
  const choices = found.slice(0, 5).map(({ uid, addresses }) => `${uid} (${addresses.join(', ')})`)
  const more = found.length > 5 ? ` and ${found.length - 5} more` : ''
  const text_ = `"${text}" is ambiguous: ${choices.join('; ')}${more}; say which by its uid or address`
  throw new MeshError('RESOURCE_INVALID', text_)
}

function workloadNames(snapshot: Snapshot, separator: '/' | '.' = '/'): readonly string[] {
  return [...snapshot.workloads()].map(({ namespace, name }) =>
    separator === '/' ? `${namespace}/${name}` : `${name}.${namespace}`,
  )
}

function serviceNames(snapshot: Snapshot): readonly string[] {
  return [...snapshot.services()].flatMap(({ name, namespace, hostname }) => [`${name}.${namespace}`, hostname])
}

/** How many near names a complaint lists. */
const maxNear = 5

/** RESOURCE_NOT_FOUND with the nearest name and those that share a part with it. */
function unknown(what: string, text: string, known: readonly string[]): MeshError {
  const [first = ''] = text.split(/[./]/)
  const nearest = nearestOf(text, known) ?? (first === text ? nearestBare(text, known) : undefined)
  const alike = known.filter((name) => name !== nearest && first.length > 1 && name.includes(first))
  const hint = nearest === undefined ? '' : `; did you mean "${nearest}"?`
  const list = [...new Set(alike)].slice(0, maxNear)
  const more = list.length === 0 ? '' : ` (there ${list.length === 1 ? 'is' : 'are'} also ${list.join(', ')})`
  const empty = known.length === 0 ? '; the mesh has none yet' : ''
  return new MeshError('RESOURCE_NOT_FOUND', `${what}${hint}${more}${empty}`)
}

/** The complete name whose own part is nearest to a bare one. */
function nearestBare(text: string, known: readonly string[]): string | undefined {
  const complete = new Map(known.map((name) => [name.includes('/') ? name.split('/')[1]! : name.split('.')[0]!, name]))
  const nearest = nearestOf(text, complete.keys())
  return nearest === undefined ? undefined : complete.get(nearest)
}

/** Of several addresses those that the source can connect to, if there are any. */
export function dialsOf(source: Source, { addresses, port }: Destination): readonly SocketAddress[] {
  const families = new Set(source.addresses.map(familyOf))
  const fitting = addresses.filter((address) => families.has(familyOf(address)))
  return (fitting.length > 0 ? fitting : addresses).map((address) => ({ address, port }))
}
