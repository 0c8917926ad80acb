// A patch by its media type, as a function over the object that it changes. write-requests.ts reads one per PATCH that is not a
// server-side apply.
import { isObject } from '../../../core/model/field-check.ts'
import { coreKinds } from '../../../core/model/kinds/core.ts'
import type { Kind } from '../../../core/model/kinds/kind.ts'
import { rootField } from '../apply/typed.ts'
import { ApiError } from '../errors.ts'
import { unsupportedPatch } from '../write-options.ts'
import { jsonPatch } from './json-patch.ts'
import { mergePatch } from './merge-patch.ts'
import { strategicMergePatch } from './strategic-merge-patch.ts'

type Fields = Readonly<Record<string, unknown>>

const common = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml']
const strategic = 'application/strategic-merge-patch+json'

/** The media types in which a kind takes patches; strategic ones are for Kubernetes' own kinds, as there. */
export function patchTypes(kind: Kind): readonly string[] {
  return coreKinds.includes(kind) ? [...common, strategic] : common
}

/** Throws UnsupportedMediaType, BadRequest (not a patch); the function throws what the patch cannot do. */
export function readPatch(kind: Kind, type: string, patch: unknown): (current: Fields) => Fields {
  if (!patchTypes(kind).includes(type)) throw unsupportedPatch(type, patchTypes(kind))
  if (type === 'application/json-patch+json') return (current) => asObject(jsonPatch(current, patch))
  if (!isObject(patch)) throw new ApiError('BadRequest', 'a merge patch must be an object')
  if (type === strategic) return (current) => strategicMergePatch(current, patch, rootField(kind))
  return (current) => asObject(mergePatch(current, patch))
}

function asObject(result: unknown): Fields {
  if (isObject(result)) return result
  throw new ApiError('BadRequest', 'a patch must leave an object')
}
