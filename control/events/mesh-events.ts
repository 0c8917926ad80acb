// What the control plane says in Events: the words for hosts, replicas and services, and which changes of an object's conditions are
// worth one. Pure; EventRecorder writes them down.
import type { Condition, MeshObject } from '../../core/model/resource.ts'
import type { RefusedResource } from '../../core/model/types.ts'
import type { EventSubject, MeshEvent } from './event.ts'

type Words = readonly [type: MeshEvent['type'], reason: string, message: string]

/** A host is the Node of its name, which need not be in the store. */
function ofHost(host: string, [type, reason, message]: Words): MeshEvent {
  return { object: { apiVersion: 'v1', kind: 'Node', namespace: '', name: host, uid: host }, type, reason, message }
}

export function hostJoined(host: string): MeshEvent {
  return ofHost(host, ['Normal', 'HostJoined', 'the host has joined the mesh with a token'])
}

export function hostRevoked(host: string): MeshEvent {
  return ofHost(host, ['Normal', 'HostRevoked', 'the host was deleted: its certificates are worth nothing any more'])
}

export function hostAway(host: string): MeshEvent {
  const message = 'the agent is not connected to any control plane; its daemon goes on with what it was told before'
  return ofHost(host, ['Warning', 'HostAway', message])
}

export function hostBack(host: string): MeshEvent {
  return ofHost(host, ['Normal', 'HostBack', 'the agent is connected again'])
}

export function resourceRefused(host: string, { kind, key, reason }: RefusedResource): MeshEvent {
  return ofHost(host, ['Warning', 'ResourceRefused', `could not take ${kind} ${key}: ${reason}`])
}

export function workloadRefused(host: string, refused: { readonly uid: string; readonly reason: string }): MeshEvent {
  return ofHost(host, ['Warning', 'WorkloadRefused', `workload ${refused.uid} is refused: ${refused.reason}`])
}

/** The lease is none of the served kinds; kubectl's users know its events from the controllers of Kubernetes. */
export function leaderElected(replica: string, namespace: string): MeshEvent {
  return {
    object: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace, name: 'leader' },
    type: 'Normal',
    reason: 'LeaderElection',
    message: `replica ${replica} leads now`,
  }
}

export function vipsExhausted(service: MeshObject, message: string): MeshEvent {
  return { object: subjectOf(service), type: 'Warning', reason: 'VirtualIPsExhausted', message }
}

/** What happened to an object, by what was said of it before and what is said of it now. */
export function conditionEvents(
  object: MeshObject,
  before: readonly Condition[],
  after: readonly Condition[],
): readonly MeshEvent[] {
  const told = (type: string): Words | undefined => {
    const [old, now] = [before, after].map((conditions) => conditions.find((condition) => condition.type === type))
    return now === undefined ? undefined : changeOf(old, now)
  }
  return ['Accepted', 'Programmed'].flatMap((condition) => {
    const words = told(condition)
    if (words === undefined) return []
    const [type, reason, message] = words
    return [{ object: subjectOf(object), type, reason, message }]
  })
}

/** Reasons of Programmed=False that are no news: it is on its way, never will be, or is not accepted, which is told as that. */
const quietReasons: ReadonlySet<string> = new Set(['Pending', 'NotEnforced', 'Invalid'])

function changeOf(before: Condition | undefined, now: Condition): Words | undefined {
  if (now.status === 'True') {
    if (before?.status !== 'False' || before.reason === 'NotEnforced') return undefined
    const message = now.type === 'Programmed' ? 'in force on every host' : 'accepted'
    return ['Normal', now.type, message]
  }
  if (now.status !== 'False' || (now.type === 'Programmed' && quietReasons.has(now.reason))) return undefined
  const isSame = before?.status === 'False' && before.reason === now.reason
  // who is away changes, but it is the same trouble
  if (isSame && (now.reason === 'HostAway' || before.message === now.message)) return undefined
  return ['Warning', now.reason, now.message]
}

function subjectOf({ apiVersion, kind, metadata }: MeshObject): EventSubject {
  const { namespace = '', name, uid } = metadata
  return { apiVersion, kind, namespace, name, ...(uid === undefined ? {} : { uid }) }
}
