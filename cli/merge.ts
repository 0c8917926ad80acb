// What `apply` makes of three states of an object: what was applied last, what is asked for now, and what is live. Pure; the
// rules are kubectl's for JSON merge: fields that others have set stay, fields that left the file go.
import { isDeepStrictEqual } from 'node:util'
import { withDefaults } from '../core/model/normalize.ts'
import type { MeshObject } from '../core/model/resource.ts'

/** The annotation in which kubectl keeps what was applied last; shared, so that both tools can be mixed. */
export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration'

type Fields = Readonly<Record<string, unknown>>

/** Lists are replaced whole; maps are merged key by key. */
export function mergeFields(last: unknown, desired: unknown, live: unknown): unknown {
  if (!isFields(desired)) return desired
  const lastFields = isFields(last) ? last : {}
  const liveFields = isFields(live) ? live : {}
  const result: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(liveFields)) {
    if (!(key in desired) && !(key in lastFields)) result[key] = value
  }
  for (const [key, value] of Object.entries(desired)) result[key] = mergeFields(lastFields[key], value, liveFields[key])
  return result
}

/** The object to create: as the file has it, with the record of what was applied. */
export function toCreate(desired: MeshObject): MeshObject {
  return withLastApplied(desired, JSON.stringify(desired))
}

/** The object to write over `live`; undefined where nothing changes. */
export function toUpdate(desired: MeshObject, live: MeshObject): MeshObject | undefined {
  const record = live.metadata.annotations?.[lastAppliedAnnotation]
  const last = record === undefined ? undefined : parseRecord(record)
  const text = JSON.stringify(desired)
  // The server has filled in defaults, also within lists, which are compared whole.
  const merged = withLastApplied(mergeFields(last, filledLists(desired), live) as MeshObject, text)
  return isDeepStrictEqual(merged, live) ? undefined : merged
}

/** The desired object with the server's defaults within the fields that it has; fields that it lacks stay as they are live. */
function filledLists(desired: MeshObject): MeshObject {
  const { spec } = desired
  if (spec === undefined) return desired
  const defaults: Fields = withDefaults(desired).spec ?? {}
  return { ...desired, spec: Object.fromEntries(Object.keys(spec).map((key) => [key, defaults[key] ?? spec[key]])) }
}

function withLastApplied(object: MeshObject, text: string): MeshObject {
  const annotations = { ...object.metadata.annotations, [lastAppliedAnnotation]: text }
  return { ...object, metadata: { ...object.metadata, annotations } }
}

function parseRecord(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // written by something else; then nothing counts as applied before
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
