// The Kubernetes-style envelope of every resource that people write. Validated once at the edge (validate.ts), then trusted.

export interface ObjectMeta {
  readonly name: string
  /** Empty for cluster-scoped kinds. */
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  /** RFC 3339; set where the object is deleted but still waits for its finalizers. */
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly finalizers?: readonly string[]
  readonly ownerReferences?: readonly OwnerReference[]
  /** Who owns which fields; kept by the API server. */
  readonly managedFields?: readonly ManagedFieldsEntry[]
}

/** An object that this one belongs to: of the same namespace, or of a kind that has none. */
export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** `meta/v1 ManagedFieldsEntry`: the fields that one manager wrote through one door. */
export interface ManagedFieldsEntry {
  readonly manager: string
  readonly operation: 'Apply' | 'Update'
  /** At which version the fields were written. */
  readonly apiVersion: string
  /** RFC 3339, seconds. */
  readonly time?: string
  readonly fieldsType: 'FieldsV1'
  readonly fieldsV1: Readonly<Record<string, unknown>>
  readonly subresource?: string
}

export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
  readonly lastTransitionTime?: string
  readonly observedGeneration?: number
}

/** A resource of any kind, at the version in which it was written. `spec` fits the kind's field table. */
export interface MeshObject<Spec = Readonly<Record<string, unknown>>> {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly spec?: Spec
  readonly status?: { readonly conditions?: readonly Condition[]; readonly [field: string]: unknown }
}

/** Names one stored object. `group` is empty for the core group; `namespace` for cluster-scoped kinds. */
export interface ObjectKey {
  readonly group: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

/** `Kind namespace/name` for messages and map keys. */
export function formatObjectKey(key: ObjectKey): string {
  const kind = key.group === '' ? key.kind : `${key.kind}.${key.group}`
  return key.namespace === '' ? `${kind} ${key.name}` : `${kind} ${key.namespace}/${key.name}`
}
