// Collects what compile has to say about each object. The first word about an object is that it is accepted; the rest is
// what does not, or not wholly, take effect.
import { splitApiVersion } from '../../../core/model/kinds.ts'
import { type Condition, formatObjectKey, type MeshObject, type ObjectKey } from '../../../core/model/resource.ts'

export type Finding = Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>

export function keyOf(object: MeshObject): ObjectKey {
  const { name, namespace = '' } = object.metadata
  return { group: splitApiVersion(object.apiVersion).group, kind: object.kind, namespace, name }
}

/** `namespace/name`, for messages and compiled keys. */
export function nameOf(object: MeshObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}

export class Findings {
  readonly #byObject = new Map<string, { readonly object: MeshObject; readonly findings: Map<string, Finding> }>()

  /** Every object is accepted until `add` says otherwise. */
  accept(object: MeshObject): void {
    const accepted: Finding = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' }
    this.#byObject.set(formatObjectKey(keyOf(object)), { object, findings: new Map([[accepted.type, accepted]]) })
  }

  /** Adds a finding; one of the same type that says the same in other words is joined to it. */
  add(object: MeshObject, finding: Finding): void {
    const key = formatObjectKey(keyOf(object))
    if (!this.#byObject.has(key)) this.accept(object)
    const { findings } = this.#byObject.get(key)!
    const earlier = findings.get(finding.type)
    const joins = earlier !== undefined && earlier.status === finding.status && earlier.message !== ''
    const message = joins ? `${earlier.message}; ${finding.message}` : finding.message
    findings.set(finding.type, { ...finding, message: message.slice(0, 4096) })
  }

  conditions(): ReadonlyMap<string, readonly Condition[]> {
    const result = new Map<string, readonly Condition[]>()
    for (const [key, { object, findings }] of this.#byObject) {
      const { generation } = object.metadata
      const observed = generation === undefined ? {} : { observedGeneration: generation }
      result.set(
        key,
        [...findings.values()].map((finding) => ({ ...finding, ...observed })),
      )
    }
    return result
  }
}

/** The object takes no effect at all. */
export function notAccepted(reason: string, message: string): Finding {
  return { type: 'Accepted', status: 'False', reason, message }
}

/** A security rule works other than written; always to the stricter side. */
export function notFullyEnforced(reason: string, message: string): Finding {
  return { type: 'FullyEnforced', status: 'False', reason, message }
}
