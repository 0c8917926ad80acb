// What compile has to say about an object, as findings of its rules. The first word is that the object is accepted; the rest is
// what does not, or not wholly, take effect.
import { splitApiVersion } from '../../core/model/kinds.ts'
import type { Condition, MeshObject, ObjectKey } from '../../core/model/resource.ts'

export interface Finding extends Omit<Condition, 'lastTransitionTime' | 'observedGeneration'> {
  /** Of a route: about one of its parents, by its position in parentRefs. The status of each parent is put together from these. */
  readonly parent?: number
}

export function keyOf(object: MeshObject): ObjectKey {
  const { name, namespace = '' } = object.metadata
  return { group: splitApiVersion(object.apiVersion).group, kind: object.kind, namespace, name }
}

/** `namespace/name`, for messages and compiled keys. */
export function nameOf(object: MeshObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}

const maxMessage = 4096

/** The conditions of an object; findings of one type, about the same parent, that say the same in other words are joined. */
export function conditionsOf(object: MeshObject, findings: readonly Finding[]): readonly Condition[] {
  const { generation } = object.metadata
  const observed = generation === undefined ? {} : { observedGeneration: generation }
  const byType = new Map<string, Finding>()
  for (const finding of findings) {
    const about = `${finding.type} ${finding.parent ?? ''}`
    const earlier = byType.get(about)
    const joins = earlier !== undefined && earlier.status === finding.status && earlier.message !== ''
    if (joins && earlier.message.length >= maxMessage) continue
    const message = joins ? `${earlier.message}; ${finding.message}` : finding.message
    byType.set(about, { ...finding, message: message.slice(0, maxMessage) })
  }
  return [...byType.values()].map((finding) => ({ ...finding, ...observed }))
}

/** Until another finding says otherwise. */
export const accepted: Finding = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' }

/** The object takes no effect at all. */
export function notAccepted(reason: string, message: string): Finding {
  return { type: 'Accepted', status: 'False', reason, message }
}

/** A security rule works other than written; always to the stricter side. */
export function notFullyEnforced(reason: string, message: string): Finding {
  return { type: 'FullyEnforced', status: 'False', reason, message }
}
