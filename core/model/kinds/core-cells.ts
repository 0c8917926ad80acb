// The cells that `get` computes for nodes, endpoints, events and the like, as kubectl prints them. Only core.ts reads it.
import { lastSeen } from '../fields/event.ts'
import type { MeshObject } from '../resource.ts'

/** How many of a long list are shown. */
const mostShown = 3

type Values = Readonly<Record<string, unknown>>

/** Kinds without a spec have their fields at the top. */
function topOf(object: MeshObject): Values {
  return object as unknown as Values
}

/** `10.0.0.1:80,10.0.0.2:80 + 4 more...`. */
function few(texts: readonly string[]): string {
  const shown = texts.slice(0, mostShown).join(',')
  return texts.length <= mostShown ? shown : `${shown} + ${texts.length - mostShown} more...`
}

interface ConditionLike {
  readonly type: string
  readonly status: string
}

export function nodeStatusCell(node: MeshObject): string {
  const conditions = (node.status?.conditions ?? []) as readonly ConditionLike[]
  const ready = conditions.find(({ type }) => type === 'Ready')
  const word = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'
  return node.spec?.['unschedulable'] === true ? `${word},SchedulingDisabled` : word
}

interface ServicePortLike {
  readonly port: number
  readonly nodePort?: number
  readonly protocol?: string
}

/** `80/TCP`, `80:30080/TCP`. */
export function servicePortsCell({ spec }: MeshObject): string {
  const ports = (spec?.['ports'] ?? []) as readonly ServicePortLike[]
  return ports
    .map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol ?? 'TCP'}`)
    .join(',')
}

interface IngressLike {
  readonly ip?: string
  readonly hostname?: string
}

/** Where a service is reached besides its virtual IPs: what somebody else has given it, since the mesh makes no load balancers. */
export function serviceExternalCell({ spec, status }: MeshObject): string {
  if (spec?.['type'] === 'ExternalName') return String(spec['externalName'] ?? '')
  const balancer = (status?.['loadBalancer'] ?? {}) as { readonly ingress?: readonly IngressLike[] }
  const ingress = (balancer.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? '')
  return [...ingress, ...((spec?.['externalIPs'] ?? []) as readonly string[])].join(',')
}

const rolePrefix = 'node-role.kubernetes.io/'

export function nodeRolesCell({ metadata: { labels = {} } }: MeshObject): string {
  const roles = Object.entries(labels).flatMap(([key, value]) => {
    if (key === 'kubernetes.io/role' && value !== '') return [value]
    return key.startsWith(rolePrefix) && key !== rolePrefix ? [key.slice(rolePrefix.length)] : []
  })
  return [...new Set(roles)].sort().join(',')
}

/** The node's first address of a type. */
export function nodeAddressCell(type: string): (node: MeshObject) => string {
  return (node) => {
    const addresses = (node.status?.['addresses'] ?? []) as readonly { type: string; address: string }[]
    return addresses.find((address) => address.type === type)?.address ?? ''
  }
}

interface SubsetLike {
  readonly addresses?: readonly { readonly ip: string }[]
  readonly ports?: readonly { readonly port: number }[]
}

const withPort = (ip: string, port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)

export function endpointsCell(endpoints: MeshObject): string {
  const subsets = (topOf(endpoints)['subsets'] ?? []) as readonly SubsetLike[]
  return few(
    subsets.flatMap(({ addresses = [], ports = [] }) =>
      ports.length === 0
        ? addresses.map(({ ip }) => ip)
        : ports.flatMap(({ port }) => addresses.map(({ ip }) => withPort(ip, port))),
    ),
  )
}

export function slicePortsCell(slice: MeshObject): string {
  const ports = (topOf(slice)['ports'] ?? []) as readonly { readonly port?: number }[]
  return few(ports.map(({ port }) => String(port ?? '*')))
}

export function sliceEndpointsCell(slice: MeshObject): string {
  const endpoints = (topOf(slice)['endpoints'] ?? []) as readonly { readonly addresses: readonly string[] }[]
  return few(endpoints.flatMap(({ addresses }) => addresses))
}

/** How many entries the maps or lists of those names have together. */
export function countCell(...names: readonly string[]): (object: MeshObject) => number {
  return (object) => names.reduce((sum, name) => sum + Object.keys((topOf(object)[name] ?? {}) as object).length, 0)
}

export function lastSeenCell(event: MeshObject): string {
  return String(lastSeen(topOf(event)) ?? event.metadata.creationTimestamp ?? '')
}

export function firstSeenCell(event: MeshObject): string {
  const { firstTimestamp, eventTime } = topOf(event)
  return String(firstTimestamp ?? eventTime ?? event.metadata.creationTimestamp ?? '')
}

/** `pod/web-1`. */
export function eventObjectCell(event: MeshObject): string {
  const { kind = '', name = '' } = topOf(event)['involvedObject'] as Readonly<Record<string, string | undefined>>
  return `${kind.toLowerCase()}/${name}`
}

/** `kubelet, node-1`. */
export function eventSourceCell(event: MeshObject): string {
  const {
    source = {},
    reportingComponent = '',
    reportingInstance = '',
  } = topOf(event) as {
    source?: { component?: string; host?: string }
    reportingComponent?: string
    reportingInstance?: string
  }
  const { component = reportingComponent, host = reportingInstance } = source
  return [component, host].filter((text) => text !== '').join(', ')
}

export function eventCountCell(event: MeshObject): number {
  const { count, series } = topOf(event) as { count?: number; series?: { count?: number } }
  return count ?? series?.count ?? 1
}
