// Coming from client-side apply: what its annotation says was applied is no conflict for kubectl's server-side apply, and the
// annotation follows, so that people may go back (apiserver, `lastAppliedManager`, `lastAppliedUpdater`). Pure; apply.ts calls it.
import { isObject } from '../../../core/model/field-check.ts'
import type { Kind } from '../../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { compare } from './compare.ts'
import { difference, emptySet, type FieldSet, isEmpty } from './field-set.ts'
import type { Owner, Writer } from './managers.ts'
import { fieldSetOf, rootField } from './typed.ts'

export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration'

/** Characters; a configuration that is longer is not noted. */
const maxNoted = 256 * 1024

/** Only kubectl's own server-side apply takes over from its client-side one. */
function takesOver({ manager, subresource }: Writer): boolean {
  return manager === 'kubectl' && subresource === undefined
}

/** The conflicts that are left. */
export function beyondLastApplied(
  found: readonly Owner[],
  kind: Kind,
  live: MeshObject,
  writer: Writer,
): readonly Owner[] {
  const allowed = takesOver(writer) ? stillAsApplied(kind, live) : emptySet
  if (isEmpty(allowed)) return found
  return found.map((owner) => ({ ...owner, set: difference(owner.set, allowed) })).filter(({ set }) => !isEmpty(set))
}

/** The fields that client-side apply wrote last, and that nobody changed since. */
function stillAsApplied(kind: Kind, live: MeshObject): FieldSet {
  const text = live.metadata.annotations?.[lastAppliedAnnotation]
  const applied = text === undefined ? undefined : parsed(text)
  if (applied === undefined) return emptySet
  const root = rootField(kind)
  const { added, modified, removed } = compare(applied, live, root)
  return [added, modified, removed].reduce(difference, fieldSetOf(applied, root))
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The object with this configuration in its annotation, where it has that annotation. */
export function withLastApplied(
  object: MeshObject,
  config: Readonly<Record<string, unknown>>,
  writer: Writer,
): MeshObject {
  const { annotations } = object.metadata
  if (!takesOver(writer) || annotations?.[lastAppliedAnnotation] === undefined) return object
  const text = `${JSON.stringify(withoutNote(config))}\n`
  if (text.length > maxNoted) return object
  return { ...object, metadata: { ...object.metadata, annotations: { ...annotations, [lastAppliedAnnotation]: text } } }
}

function withoutNote(config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { metadata } = config
  if (!isObject(metadata) || !isObject(metadata['annotations'])) return config
  const { [lastAppliedAnnotation]: _, ...annotations } = metadata['annotations']
  return { ...config, metadata: { ...metadata, annotations } }
}
