// Node authorization: which of the workloads that a host reports are believed. Pure; control/reports.ts acts on the answer.

import type { WorkloadReport } from '../core/feed/messages.ts'
import { dnsLabel, dnsSubdomain, unicastAddress } from '../core/model/fields/rules.ts'
import { formatProblem } from '../core/model/problem.ts'
import type { MeshObject } from '../core/model/resource.ts'
import { validateObject } from '../core/model/validate.ts'
import { gatewayName } from '../core/model/waypoint-labels.ts'
import { canonicalAddress, isLoopback } from '../core/net/address.ts'
import { nameOf } from './compile/conditions.ts'
import { annotation } from './compile/order.ts'
import { names } from './compile/settings.ts'
import { addressFilter, type Grant, grantsIdentity } from './grants.ts'

export interface PlacementInput {
  readonly grant: Grant
  readonly reports: readonly WorkloadReport[]
  /** WorkloadEntries of the mesh: by `namespace/name`, and those with an address. */
  readonly entries: {
    get(name: string): MeshObject | undefined
    withAddress(address: string): readonly MeshObject[]
  }
  /** Whether an address can only be that of a service. */
  readonly isVirtual: (address: string) => boolean
}

export interface Placement {
  readonly accepted: readonly AcceptedWorkload[]
  readonly refused: readonly { readonly uid: string; readonly reason: string }[]
}

/** A report that is believed, with canonical addresses, and the object that stands for it. */
export interface AcceptedWorkload {
  readonly report: WorkloadReport
  readonly object: MeshObject
}

export function place(input: PlacementInput): Placement {
  const { host } = input.grant
  const foreign = foreignTo(host, input.entries)
  const addresses = new Map<string, string>()
  const taken = new Set<string>()
  const local: Taken = { ownerOf: (address) => addresses.get(address), hasName: (name) => taken.has(name) }
  const covers = addressFilter(input.grant)
  const accepted: AcceptedWorkload[] = []
  const refused: { uid: string; reason: string }[] = []
  for (const reported of input.reports) {
    const report = { ...reported, addresses: reported.addresses.map((text) => canonicalAddress(text) ?? text) }
    const object = objectOf(report, host)
    const reason =
      refuseIdentity(report, input.grant) ??
      refuseOther(report, input.grant, accepted.length) ??
      refuseAddresses(report, covers, input.isVirtual) ??
      refuseTaken(report, foreign, local) ??
      refuseObject(object)
    if (reason !== undefined) {
      refused.push({ uid: reported.uid, reason })
      continue
    }
    for (const address of report.addresses) addresses.set(address, nameOf(object))
    taken.add(nameOf(object))
    accepted.push({ report, object })
  }
  return { accepted, refused }
}

/** Whether an entry came from an agent: only those may be changed or removed on an agent's word. */
export function isReported(entry: MeshObject): boolean {
  return annotation(entry, names.workloadUid) !== undefined
}

interface Taken {
  /** `namespace/name` of the workload that has an address. */
  ownerOf(address: string): string | undefined
  hasName(name: string): boolean
}

/** What is taken by entries that are not the host's own reports. */
function foreignTo(host: string, entries: PlacementInput['entries']): Taken {
  const foreign = (entry: MeshObject): boolean => annotation(entry, names.node) !== host || !isReported(entry)
  return {
    ownerOf: (address) => {
      const owner = entries.withAddress(address).find(foreign)
      return owner === undefined ? undefined : nameOf(owner)
    },
    hasName: (name) => {
      const entry = entries.get(name)
      return entry !== undefined && foreign(entry)
    },
  }
}

function refuseIdentity(report: WorkloadReport, grant: Grant): string | undefined {
  const { uid, namespace, name, serviceAccount } = report
  const wrong = dnsLabel(namespace) ?? dnsSubdomain(name) ?? dnsSubdomain(serviceAccount)
  if (wrong !== undefined) return wrong
  const prefix = `${grant.host}/${namespace}/${name}/`
  if (!uid.startsWith(prefix) || uid.length === prefix.length)
    return `the uid does not have the form ${prefix}<instance>`
  if (grantsIdentity(grant, namespace, serviceAccount)) return undefined
  return `host "${grant.host}" was not granted ${namespace}/${serviceAccount} (it has ${grant.identities.join(', ')})`
}

/** A waypoint's token is for the waypoint: with other labels it would be an endpoint of any service of the namespace. */
function refuseOther({ serviceAccount, labels }: WorkloadReport, grant: Grant, accepted: number): string | undefined {
  if (grant.waypoint !== true) return undefined
  if (labels[gatewayName] !== serviceAccount || Object.keys(labels).length > 1)
    return `host "${grant.host}" was granted an instance of the waypoint ${serviceAccount} only, whose one label is ${gatewayName}`
  return accepted > 0 ? `host "${grant.host}" was granted one instance of a waypoint only` : undefined
}

function refuseAddresses(
  report: WorkloadReport,
  covers: (address: string) => boolean,
  isVirtual: (address: string) => boolean,
): string | undefined {
  if (report.addresses.length === 0) return 'it has no address'
  for (const address of report.addresses) {
    const wrong = unicastAddress(address)
    if (wrong !== undefined) return wrong
    if (isLoopback(address)) return `${address} is a loopback address`
    if (isVirtual(address)) return `${address} is in the range of virtual IPs`
    if (!covers(address)) return `${address} is outside the ranges that the host was granted`
  }
  return undefined
}

function refuseTaken(report: WorkloadReport, foreign: Taken, local: Taken): string | undefined {
  const name = `${report.namespace}/${report.name}`
  if (foreign.hasName(name)) return `a WorkloadEntry ${name} exists already that is not of this host`
  if (local.hasName(name)) return `another workload of this host is called ${name}`
  for (const address of report.addresses) {
    const owner = foreign.ownerOf(address) ?? local.ownerOf(address)
    if (owner !== undefined) return `${address} belongs to the workload ${owner}`
  }
  return undefined
}

function refuseObject(object: MeshObject): string | undefined {
  const [problem] = validateObject(object)
  return problem === undefined ? undefined : formatProblem(problem)
}

/** The WorkloadEntry for a report. Its metadata.labels are left to the operator. */
function objectOf(report: WorkloadReport, host: string): MeshObject {
  const annotations = {
    [names.workloadUid]: report.uid,
    [names.node]: host,
    [names.addresses]: report.addresses.join(','),
    ...(report.captured ? { [names.redirection]: 'enabled' } : {}),
    ...(report.uncapturedConnections > 0
      ? { [names.uncapturedConnections]: String(report.uncapturedConnections) }
      : {}),
  }
  const { name, namespace, serviceAccount, labels, ports, locality, weight } = report
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name, namespace, annotations },
    spec: {
      address: report.addresses[0] ?? '',
      serviceAccount,
      weight,
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(Object.keys(ports).length === 0 ? {} : { ports }),
      ...(locality === '' ? {} : { locality }),
    },
  }
}
