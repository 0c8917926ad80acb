// What the server itself puts into an object, and what an update may not change. Pure; resources.ts calls it between reading the
// old state and writing the new one.
import { isDeepStrictEqual } from 'node:util'
import type { Kind } from '../../core/model/kinds/kind.ts'
import { withDefaults, withoutNulls } from '../../core/model/normalize.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { conflict } from './errors.ts'

export interface Birth {
  readonly uid: string
  /** RFC 3339, seconds. */
  readonly creationTimestamp: string
  /** Random letters and digits behind a generateName. */
  readonly nameSuffix: string
}

/** Metadata that people write; the rest is the server's. */
const writtenMetadata: readonly string[] = ['labels', 'annotations', 'finalizers', 'ownerReferences', 'generateName']

/** The longest prefix that leaves room for a suffix (apiserver, `SimpleNameGenerator`). */
const maxGeneratedPrefix = 58

/** The name that the object has, or gets. */
export function nameFor(object: MeshObject, birth: Birth): string {
  const { name, generateName } = object.metadata as MeshObject['metadata'] & { generateName?: string }
  if (typeof name === 'string' && name !== '') return name
  return `${(generateName ?? '').slice(0, maxGeneratedPrefix)}${birth.nameSuffix}`
}

/** A validated object as it is stored first: defaults filled in, status empty, server metadata set. */
export function newObject(input: MeshObject, kind: Kind, birth: Birth): MeshObject {
  const { status: _, ...written } = withoutNulls(input)
  const metadata = {
    name: nameFor(input, birth),
    ...(kind.namespaced ? { namespace: input.metadata.namespace! } : {}),
    ...pick(written.metadata),
    uid: birth.uid,
    creationTimestamp: birth.creationTimestamp,
    generation: 1,
  }
  return withDefaults({ ...written, metadata })
}

/** The object after an update through the main resource: status and server metadata stay, generation follows spec. */
export function updatedObject(old: MeshObject, input: MeshObject): MeshObject {
  const { status: _, ...written } = withoutNulls(input)
  const { name, namespace, uid, creationTimestamp, generation = 1 } = old.metadata
  const kept = keepAllocated(old, { ...written, metadata: { ...pick(written.metadata), name } })
  const filled = withDefaults(keepNamespaceFinalizers(old, kept))
  const changed = !isDeepStrictEqual(filled.spec, old.spec)
  const metadata = {
    ...filled.metadata,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    ...deletionOf(old),
    generation: changed ? generation + 1 : generation,
  }
  return { ...filled, metadata, ...(old.status === undefined ? {} : { status: old.status }) }
}

/** A deletion that was asked for is not taken back. */
function deletionOf({ metadata }: MeshObject): Partial<MeshObject['metadata']> {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = metadata
  return deletionTimestamp === undefined ? {} : { deletionTimestamp, deletionGracePeriodSeconds }
}

/** `spec.finalizers` of a Namespace are changed by its deletion only (Kubernetes: only through `finalize`). */
function keepNamespaceFinalizers(old: MeshObject, input: MeshObject): MeshObject {
  if (old.kind !== 'Namespace' || old.spec?.['finalizers'] === undefined) return input
  return { ...input, spec: { ...input.spec, finalizers: old.spec['finalizers'] } }
}

type WrittenMetadata = Pick<MeshObject['metadata'], 'labels' | 'annotations'>

function pick(metadata: MeshObject['metadata']): WrittenMetadata {
  const entries = Object.entries(metadata).filter(([name]) => writtenMetadata.includes(name))
  return Object.fromEntries(entries)
}

/** An update that does not mention the virtual IPs keeps them, as in Kubernetes. */
function keepAllocated(old: MeshObject, input: MeshObject): MeshObject {
  if (input.kind !== 'Service' || input.spec?.['type'] === 'ExternalName') return input
  const spec = { ...input.spec }
  const clusterIP = old.spec?.['clusterIP']
  if (isUnset(spec['clusterIP']) && !isUnset(clusterIP)) spec['clusterIP'] = clusterIP
  const unsetList = spec['clusterIPs'] === undefined || (spec['clusterIPs'] as readonly unknown[]).length === 0
  if (unsetList && old.spec?.['clusterIPs'] !== undefined && spec['clusterIP'] === clusterIP) {
    spec['clusterIPs'] = old.spec['clusterIPs']
  }
  return { ...input, spec }
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === ''
}

/** Whether an update would write exactly what is there. */
export function isSame(old: MeshObject, updated: MeshObject): boolean {
  return isDeepStrictEqual(withoutRevision(old), withoutRevision(updated))
}

function withoutRevision(object: MeshObject): MeshObject {
  const { resourceVersion: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

/** Throws Conflict where the input names another life or another revision of the object than the stored one. */
export function checkPreconditions(
  kind: Kind,
  old: MeshObject,
  wanted: { uid?: string; resourceVersion?: string },
): void {
  const { name, uid, resourceVersion } = old.metadata
  if (!isUnset(wanted.uid) && wanted.uid !== uid) {
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${uid}`)
  }
  if (!isUnset(wanted.resourceVersion) && wanted.resourceVersion !== resourceVersion) {
    const why = 'the object has been modified; please apply your changes to the latest version and try again'
    throw conflict(kind, name, why)
  }
}
