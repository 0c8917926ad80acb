// How `culvert status` looks on a terminal: problems first, then the control plane's replicas and the hosts. Pure.
import type { HostStatus, MeshStatus, ReplicaStatus } from '../core/model/mesh-status.ts'
import { age, type Paint, table } from './render.ts'
import { type StatusFacts, type StatusProblem, versions } from './status-problems.ts'
import { captureState } from './workload-view.ts'

export interface StatusReport extends StatusFacts {
  /** URL of the API that answered. */
  readonly api: string
  readonly problems: readonly StatusProblem[]
}

export interface StatusView {
  readonly wide: boolean
  readonly paint: Paint
  /** Milliseconds since 1970. */
  readonly now: number
}

export function statusText(report: StatusReport, view: StatusView): string {
  const { mesh } = report
  return [
    ...problemLines(report.problems, view.paint),
    headline(report, view.paint),
    ...(mesh === undefined ? [] : meshLines(mesh, view)),
    '',
    workloadLine(report),
  ].join('\n')
}

function problemLines(problems: readonly StatusProblem[], paint: Paint): readonly string[] {
  if (problems.length === 0) return []
  const lines = problems.map(({ severity, about, message }) => {
    return `  ${paint(severity === 'error' ? 'red' : 'yellow', severity.padEnd(7))}  ${about}: ${message}`
  })
  return [paint('bold', problems.length === 1 ? 'One problem:' : `${problems.length} problems:`), ...lines, '']
}

function headline({ api, mesh, problems }: StatusReport, paint: Paint): string {
  const about = mesh === undefined ? '' : `, trust domain ${mesh.trustDomain}, model version ${mesh.version}`
  const well = problems.length === 0 ? `; ${paint('green', 'all is well')}` : ''
  return `control plane ${api} ${paint('green', 'answers')}${about}${well}`
}

function meshLines(mesh: MeshStatus, view: StatusView): readonly string[] {
  const showsReplicas = mesh.replicas.length > 1 || view.wide
  const hosts = mesh.hosts.map((host) => hostRow(host, mesh, view))
  return [
    ...(showsReplicas
      ? [
          '',
          table(
            replicaHeaders,
            mesh.replicas.map((it) => replicaRow(it, view.paint)),
          ).trimEnd(),
        ]
      : []),
    '',
    hosts.length === 0
      ? 'no host has joined yet: `culvert token create` makes a token for one'
      : table(hostHeaders(mesh, view.wide), hosts).trimEnd(),
  ]
}

const replicaHeaders = ['REPLICA', 'API', 'FEED', 'BUILD', 'ROLE']

function replicaRow({ id, api, feed, leads, build }: ReplicaStatus, paint: Paint): readonly string[] {
  const places = feed.map(({ host, port }) => `${host}:${port}`).join(',')
  return [shortId(id), api, places, build, leads ? paint('green', 'leads') : 'follows']
}

function hostHeaders(mesh: MeshStatus, wide: boolean): readonly string[] {
  const { replicas } = mesh
  return [
    ...['HOST', ...(showsKinds(mesh) ? ['KIND'] : []), 'WORKLOADS', 'CAPTURED', 'VERSION', 'LAG'],
    ...(replicas.length > 1 || wide ? ['REPLICA'] : []),
    ...['CERTIFICATE', ...(wide ? ['BUILD', 'LAST-REFUSAL'] : [])],
    showsKinds(mesh) ? 'CONNECTION' : 'AGENT',
  ]
}

/** Where all hosts have agents nobody needs to be told. */
function showsKinds({ hosts }: MeshStatus): boolean {
  return hosts.some(({ kind }) => kind === 'waypoint')
}

function hostRow(host: HostStatus, mesh: MeshStatus, { wide, paint, now }: StatusView): readonly string[] {
  const { replicas } = mesh
  const captured = host.workloads.filter((workload) => workload.captured).length
  const replica = host.replica === undefined ? '-' : shortId(host.replica)
  return [
    ...[host.host, ...(showsKinds(mesh) ? [host.kind ?? 'agent'] : [])],
    ...[String(host.workloads.length), host.kind === 'waypoint' ? '-' : String(captured)],
    ...[host.connected ? String(host.version) : '-', lagText(host, now)],
    ...(replicas.length > 1 || wide ? [replica] : []),
    certificateText(host, now),
    ...(wide ? [host.build ?? '-', refusalText(host, now)] : []),
    // The coloured column is the last one: escape codes would count as width.
    agentText(host, paint, now),
  ]
}

function lagText({ connected, lag, behindSince }: HostStatus, now: number): string {
  if (!connected) return '-'
  if (lag === 0) return '0'
  return behindSince === undefined ? versions(lag) : `${versions(lag)}, ${age(now - Date.parse(behindSince))}`
}

function certificateText({ certificates }: HostStatus, now: number): string {
  const newest = certificates.at(-1)
  if (newest === undefined) return '-'
  const leftMs = Date.parse(newest.notAfter) - now
  return leftMs <= 0 ? 'expired' : `${age(leftMs)} left`
}

function refusalText({ lastRefusal }: HostStatus, now: number): string {
  if (lastRefusal === undefined) return '-'
  const { kind, key, at, reason } = lastRefusal
  return `${kind} ${key} ${age(now - Date.parse(at))} ago: ${reason}`
}

function agentText({ connected, connectedSince, awaySince }: HostStatus, paint: Paint, now: number): string {
  const since = connected ? connectedSince : awaySince
  const text = since === undefined ? '' : ` ${age(now - Date.parse(since))}`
  return connected ? paint('green', `connected${text}`) : paint('red', `away${text}`)
}

function workloadLine({ workloads }: StatusReport): string {
  const captured = workloads.filter((workload) => captureState(workload) === 'captured').length
  const waypoints = workloads.filter(({ waypoint }) => waypoint).length
  const serving = waypoints === 0 ? '' : `, ${waypoints} ${waypoints === 1 ? 'waypoint' : 'waypoints'}`
  return `${workloads.length} workloads, ${captured} of them captured${serving}; \`culvert workloads\` lists them`
}

function shortId(id: string): string {
  return id.slice(0, 8)
}
