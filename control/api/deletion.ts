// What a deletion does to an object: it goes at once, or is marked and waits for its finalizers. Pure; resources.ts acts on it, and
// control/gc.ts removes the finalizers that are the server's own.
import { isDeepStrictEqual } from 'node:util'
import type { Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { ApiError, detailsOf, invalidDetails, qualifiedKind, resourceName } from './errors.ts'

/** What becomes of the objects that a deleted one owns. */
export type Propagation = 'Orphan' | 'Background' | 'Foreground'

export const propagations: readonly Propagation[] = ['Orphan', 'Background', 'Foreground']

/** Finalizers that the garbage collector removes (apimachinery, `FinalizerOrphanDependents`, `FinalizerDeleteDependents`). */
export const orphanFinalizer = 'orphan'
export const foregroundFinalizer = 'foregroundDeletion'
/** Of a Namespace, in `spec.finalizers`: it holds the namespace until its contents are gone. */
export const namespaceFinalizer = 'kubernetes'

export interface DeletionOptions {
  /** Everything but the deletion itself. */
  readonly dryRun?: boolean
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
  /** Absent: finalizers of an earlier deletion stay, dependents go in the background. */
  readonly propagation?: Propagation
}

export interface Deleted {
  /** As it is now, or was last. */
  readonly object: MeshObject
  readonly gone: boolean
}

export function isDeleting(object: MeshObject): boolean {
  return object.metadata.deletionTimestamp !== undefined
}

/** Whether nothing holds a deleted object any more. */
export function isFinished(object: MeshObject): boolean {
  return isDeleting(object) && finalizersOf(object).length === 0 && namespaceFinalizers(object).length === 0
}

export function finalizersOf(object: MeshObject): readonly string[] {
  return object.metadata.finalizers ?? []
}

function namespaceFinalizers(object: MeshObject): readonly string[] {
  if (object.kind !== 'Namespace' || object.apiVersion !== 'v1') return []
  const { finalizers } = object.spec ?? {}
  return Array.isArray(finalizers) ? (finalizers as readonly string[]) : []
}

/** The object as the deletion leaves it: the same where there is nothing to do any more, finished where it may go. */
export function markedForDeletion(object: MeshObject, options: DeletionOptions, now: string): MeshObject {
  const finalizers = finalizersFor(object, options.propagation)
  const { deletionTimestamp = now, generation = 1, ...rest } = object.metadata
  const metadata = {
    ...rest,
    generation: isDeleting(object) ? generation : generation + 1,
    deletionTimestamp,
    deletionGracePeriodSeconds: 0,
    ...(finalizers.length === 0 ? {} : { finalizers }),
  }
  if (finalizers.length === 0) delete (metadata as { finalizers?: unknown }).finalizers
  const marked = { ...object, metadata }
  if (object.kind !== 'Namespace' || object.apiVersion !== 'v1') return marked
  const held = isDeleting(object)
    ? namespaceFinalizers(object)
    : [...new Set([namespaceFinalizer, ...namespaceFinalizers(object)])]
  return { ...marked, spec: { ...object.spec, finalizers: held }, status: { ...object.status, phase: 'Terminating' } }
}

function finalizersFor(object: MeshObject, propagation: Propagation | undefined): readonly string[] {
  const current = finalizersOf(object)
  if (propagation === undefined) return current
  const others = current.filter((name) => name !== orphanFinalizer && name !== foregroundFinalizer)
  if (propagation === 'Orphan') return [...others, orphanFinalizer]
  return propagation === 'Foreground' ? [...others, foregroundFinalizer] : others
}

/** Throws Forbidden where an update adds a finalizer to an object that is being deleted. */
export function checkFinalizers(kind: Kind, old: MeshObject, updated: MeshObject): void {
  if (!isDeleting(old)) return
  const known = finalizersOf(old)
  const added = finalizersOf(updated).filter((name) => !known.includes(name))
  if (added.length === 0 || isDeepStrictEqual(known, finalizersOf(updated))) return
  const message = `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`
  const causes = [{ reason: 'FieldValueForbidden', message, field: 'metadata.finalizers' }]
  const { name } = old.metadata
  throw new ApiError(
    'Invalid',
    `${qualifiedKind(kind)} "${name}" is invalid: metadata.finalizers: Forbidden: ${message}`,
    {
      details: { ...invalidDetails(kind, name), causes },
    },
  )
}

/** Nothing new comes into a namespace that goes. */
export function terminatingNamespace(kind: Kind, name: string, namespace: string): ApiError {
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  }
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`
  return new ApiError('Forbidden', `${resourceName(kind)} "${name}" is forbidden: ${why}`, {
    details: { ...detailsOf(kind, name), causes: [cause] },
  })
}
