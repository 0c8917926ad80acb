// What is wrong with a mesh, in words for people, the worst first. Pure; `culvert status` prints it before everything else.
import type { HostStatus, MeshStatus } from '../core/model/mesh-status.ts'
import type { Condition } from '../core/model/resource.ts'
import { age } from './render.ts'
import { captureState, type WorkloadView } from './workload-view.ts'

/** Part of the stable `-o json` output of `culvert status`. */
export interface StatusProblem {
  /** `error`: something does not do what it was told. `warning`: it is on its way, or will be wrong soon. */
  readonly severity: 'error' | 'warning'
  /** `control plane`, `host h1`, `workload orders-1.shop`, or an object as `get -o name` prints it. */
  readonly about: string
  readonly message: string
}

/** A condition that says that an object is not as its author meant it. */
export interface Finding {
  /** As `get -o name` prints it. */
  readonly object: string
  readonly namespace: string
  readonly condition: Condition
}

export interface StatusFacts {
  /** Undefined where the API belongs to Kubernetes, which knows nothing of our hosts. */
  readonly mesh: MeshStatus | undefined
  readonly workloads: readonly WorkloadView[]
  readonly findings: readonly Finding[]
}

/** A host that is not further behind than this takes what it was sent a moment ago. */
const patienceMs = 5_000
/** … and one that is so for this long does not take it at all. */
const stuckMs = 60_000
const soonMs = 30 * 24 * 60 * 60 * 1000
/** A certificate of which less than this part is left should have been renewed: hosts do so at half of it. */
const lastPart = 0.1

/** @param now milliseconds since 1970 */
export function statusProblems(facts: StatusFacts, now: number): readonly StatusProblem[] {
  const { mesh, workloads, findings } = facts
  const problems = [
    ...(mesh === undefined ? [] : [...controlProblems(mesh, now), ...mesh.hosts.flatMap((host) => ofHost(host, now))]),
    ...workloads.flatMap(workloadProblem),
    ...findings.map(findingProblem),
  ]
  return problems.toSorted((a, b) => rank(a) - rank(b))
}

function rank({ severity }: StatusProblem): number {
  return severity === 'error' ? 0 : 1
}

function error(about: string, message: string): StatusProblem {
  return { severity: 'error', about, message }
}

function warning(about: string, message: string): StatusProblem {
  return { severity: 'warning', about, message }
}

function controlProblems({ replicas, certificateAuthority }: MeshStatus, now: number): readonly StatusProblem[] {
  const about = 'control plane'
  const leaderless = replicas.length > 0 && !replicas.some(({ leads }) => leads)
  const end = Date.parse(certificateAuthority.issuingNotAfter)
  const expiry = end <= now ? [error(about, `its certificate authority expired ${age(now - end)} ago`)] : []
  const soon = end > now && end - now < soonMs
  return [
    ...(leaderless ? [error(about, 'no replica leads: status is not written and nothing is cleaned up')] : []),
    ...expiry,
    ...(soon ? [warning(about, `its certificate authority expires in ${age(end - now)}`)] : []),
  ]
}

function ofHost(host: HostStatus, now: number): readonly StatusProblem[] {
  const about = `host ${host.host}`
  return [
    ...awayProblem(host, now),
    ...host.refused.map(({ kind, key, reason }) => error(about, `could not take ${kind} ${key}: ${reason}`)),
    ...host.refusedWorkloads.map(({ uid, reason }) => error(about, `workload ${uid} is refused: ${reason}`)),
    ...lagProblem(host, now),
    ...certificateProblem(host, now),
  ]
}

function awayProblem({ host, kind, connected, awaySince }: HostStatus, now: number): readonly StatusProblem[] {
  if (connected) return []
  const since = awaySince === undefined ? '' : ` for ${age(now - Date.parse(awaySince))}`
  const advice =
    kind === 'waypoint'
      ? 'where it still runs it goes on with what it was told before; look at `culvert waypoint` there'
      : 'its daemon goes on with what it was told before; look at its agent'
  return [error(`host ${host}`, `not connected${since}: ${advice}`)]
}

function lagProblem({ host, connected, lag, behindSince }: HostStatus, now: number): readonly StatusProblem[] {
  const behindMs = behindSince === undefined ? 0 : now - Date.parse(behindSince)
  if (!connected || lag === 0 || behindMs < patienceMs) return []
  const severity = behindMs < stuckMs ? warning : error
  return [severity(`host ${host}`, `${versions(lag)} behind for ${age(behindMs)}`)]
}

function certificateProblem({ host, certificates }: HostStatus, now: number): readonly StatusProblem[] {
  const newest = certificates.at(-1)
  if (newest === undefined) return []
  const about = `host ${host}`
  const end = Date.parse(newest.notAfter)
  if (end <= now) {
    return [error(about, `its certificate expired ${age(now - end)} ago: it must join again, with a new token`)]
  }
  const begin = newest.notBefore === undefined ? undefined : Date.parse(newest.notBefore)
  if (begin === undefined || end - now > (end - begin) * lastPart) return []
  return [warning(about, `its certificate expires in ${age(end - now)} and was not renewed`)]
}

function workloadProblem(workload: WorkloadView): readonly StatusProblem[] {
  const state = captureState(workload)
  const about = `workload ${workload.name}.${workload.namespace}`
  const { uncapturedConnections: open } = workload
  const around = open === 0 ? '' : `${open} connections from before bypass it`
  if (state === 'waypoint' && !workload.captured) return [warning(about, 'is a waypoint that takes no tunnels now')]
  if (state === 'pending') return [warning(about, 'is to be captured, and is not yet')]
  if (state === 'leaving') return [warning(about, 'is captured still, and should not be')]
  return around === '' ? [] : [warning(about, `${state}, but ${around}`)]
}

function findingProblem({ object, namespace, condition }: Finding): StatusProblem {
  const about = namespace === '' ? object : `${object} in ${namespace}`
  const text = condition.message === '' ? condition.reason : condition.message
  const isHard = condition.type === 'Accepted' || condition.reason === 'Refused'
  return (isHard ? error : warning)(about, `${condition.type} is False: ${text}`)
}

export function versions(count: number): string {
  return count === 1 ? '1 version' : `${count} versions`
}
