// The cells that `get pods` computes, as kubectl's printers do (kubernetes, pkg/printers/internalversion). Only core.ts reads it.
import type { MeshObject } from '../resource.ts'

interface StateLike {
  readonly waiting?: { readonly reason?: string }
  readonly running?: object
  readonly terminated?: { readonly reason?: string; readonly signal?: number; readonly exitCode: number }
}

interface StatusLike {
  readonly name: string
  readonly ready: boolean
  readonly started?: boolean
  readonly restartCount: number
  readonly state?: StateLike
}

interface ContainerLike {
  readonly name: string
  readonly restartPolicy?: string
}

interface PodLike {
  readonly containers?: readonly ContainerLike[]
  readonly initContainers?: readonly ContainerLike[]
  readonly readinessGates?: readonly { readonly conditionType: string }[]
}

interface PodStatusLike {
  readonly phase?: string
  readonly reason?: string
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[]
  readonly containerStatuses?: readonly StatusLike[]
  readonly initContainerStatuses?: readonly StatusLike[]
}

function read(pod: MeshObject): { readonly spec: PodLike; readonly status: PodStatusLike } {
  return { spec: (pod.spec ?? {}) as PodLike, status: (pod.status ?? {}) as unknown as PodStatusLike }
}

/** Init containers that keep running. */
function sidecars({ initContainers = [] }: PodLike): ReadonlySet<string> {
  return new Set(initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always').map(({ name }) => name))
}

/** Statuses of the containers that should run now. */
function running(pod: MeshObject): readonly StatusLike[] {
  const { spec, status } = read(pod)
  const kept = sidecars(spec)
  const beside = (status.initContainerStatuses ?? []).filter(({ name }) => kept.has(name))
  return [...beside, ...(status.containerStatuses ?? [])]
}

/** `1/2`. */
export function readyCell(pod: MeshObject): string {
  const { spec } = read(pod)
  const ready = running(pod).filter((status) => status.ready && status.state?.running !== undefined)
  return `${ready.length}/${(spec.containers?.length ?? 0) + sidecars(spec).size}`
}

export function restartsCell(pod: MeshObject): number {
  const { status } = read(pod)
  const initial = initialReason(pod) === undefined ? running(pod) : (status.initContainerStatuses ?? [])
  return initial.reduce((sum, { restartCount }) => sum + restartCount, 0)
}

/** `Running`, `CrashLoopBackOff`, `Init:0/2`, `Completed`, `Terminating`: the most telling word about the pod. */
export function statusCell(pod: MeshObject): string {
  const { status } = read(pod)
  const reason = initialReason(pod) ?? runningReason(pod)
  if (pod.metadata.deletionTimestamp === undefined) return reason
  if (status.reason === 'NodeLost') return 'Unknown'
  return ['Failed', 'Succeeded'].includes(status.phase ?? '') ? reason : 'Terminating'
}

function ended({ reason = '', signal = 0, exitCode }: NonNullable<StateLike['terminated']>): string {
  if (reason !== '') return reason
  return signal === 0 ? `ExitCode:${exitCode}` : `Signal:${signal}`
}

/** What the first init container that is not done says; undefined once all are. */
function initialReason(pod: MeshObject): string | undefined {
  const { spec, status } = read(pod)
  const kept = sidecars(spec)
  for (const [index, { name, state, started }] of (status.initContainerStatuses ?? []).entries()) {
    if (state?.terminated?.exitCode === 0 || (kept.has(name) && started === true)) continue
    if (state?.terminated !== undefined) return `Init:${ended(state.terminated)}`
    const waiting = state?.waiting?.reason ?? ''
    if (waiting !== '' && waiting !== 'PodInitializing') return `Init:${waiting}`
    return `Init:${index}/${spec.initContainers?.length ?? 0}`
  }
  return undefined
}

function runningReason(pod: MeshObject): string {
  const { status } = read(pod)
  const conditions = status.conditions ?? []
  const gated = conditions.some(({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated')
  const whole = status.reason ?? (gated ? 'SchedulingGated' : (status.phase ?? 'Pending'))
  const told = (status.containerStatuses ?? []).flatMap(({ state }) => {
    const waiting = state?.waiting?.reason ?? ''
    if (waiting !== '') return [waiting]
    return state?.terminated === undefined ? [] : [ended(state.terminated)]
  })
  const reason = told[0] ?? whole
  const runs = (status.containerStatuses ?? []).some(({ ready, state }) => ready && state?.running !== undefined)
  if (reason !== 'Completed' || !runs) return reason
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True') ? 'Running' : 'NotReady'
}

/** `1/2` of the readiness gates hold; empty without gates. */
export function gatesCell(pod: MeshObject): string {
  const { spec, status } = read(pod)
  const gates = spec.readinessGates ?? []
  const holds = gates.filter(({ conditionType }) =>
    (status.conditions ?? []).some(({ type, status }) => type === conditionType && status === 'True'),
  )
  return gates.length === 0 ? '' : `${holds.length}/${gates.length}`
}
