// Unknown and duplicate fields of what a client sends (`fieldValidation`): refused, or dropped with or without a warning. Pure;
// write-requests.ts calls it for every body and for what a patch makes of an object.
import { isObject } from '../../core/model/field-check.ts'
import type { Path } from '../../core/model/fields/field.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import { splitApiVersion } from '../../core/model/kinds.ts'
import type { Problem } from '../../core/model/problem.ts'
import { validateObject } from '../../core/model/validate.ts'
import { refuseDuplicates } from './body.ts'
import { ApiError } from './errors.ts'
import type { FieldValidation } from './write-options.ts'

type Fields = Readonly<Record<string, unknown>>

export interface Settled {
  readonly object: Fields
  readonly warnings: readonly string[]
}

export interface Strictness {
  readonly kind: Kind
  readonly fieldValidation: FieldValidation | undefined
  readonly duplicates: readonly string[]
  /** Builds the error of Strict from its text. */
  readonly refuse: (text: string) => ApiError
}

/**
 * The object without the fields that nobody knows, where the client lets them be dropped. Of a kind where a field that is missing
 * could let more people in (`nulls: 'refused'`) none is ever dropped: validation refuses it. Throws BadRequest.
 */
export function settleFields(object: Fields, { kind, fieldValidation, duplicates, refuse }: Strictness): Settled {
  const unknown = validateObject(object).filter(({ reason }) => reason === 'unknown')
  const faults = [...unknown.map(unknownText), ...duplicates.map((path) => `duplicate field "${path}"`)]
  if (faults.length === 0) return { object, warnings: [] }
  if (fieldValidation === 'Strict') throw refuse(`strict decoding error: ${faults.join(', ')}`)
  const mayDrop = fieldValidation !== undefined && kind.nulls === 'absent'
  if (!mayDrop) {
    refuseDuplicates(duplicates)
    return { object, warnings: [] }
  }
  const kept = withoutPaths(
    object,
    unknown.map(({ at = [] }) => at),
  )
  return { object: kept as Fields, warnings: fieldValidation === 'Warn' ? faults : [] }
}

/** `unknown field "spec.mtsl"; did you mean "mtls"?` */
function unknownText({ path, message }: Problem): string {
  const hint = message.indexOf('; did you mean')
  return `unknown field "${path}"${hint < 0 ? '' : message.slice(hint)}`
}

/** In one pass: a hostile object has many fields, and many of them unknown. */
function withoutPaths(value: unknown, paths: readonly Path[]): unknown {
  const below = Map.groupBy(paths, ([first]) => first)
  const left = <Key extends string | number>(key: Key, entry: unknown): readonly (readonly [Key, unknown])[] => {
    const named = below.get(key)
    if (named === undefined) return [[key, entry]]
    if (named.some((path) => path.length === 1)) return []
    return [
      [
        key,
        withoutPaths(
          entry,
          named.map((path) => path.slice(1)),
        ),
      ],
    ]
  }
  if (Array.isArray(value)) return value.map((item, index) => left(index, item)[0]?.[1])
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).flatMap(([key, entry]) => left(key, entry)))
}

/** Of a whole object (apiserver, `transformDecodeError`). */
export function undecodable(kind: Kind, apiVersion: string, text: string): ApiError {
  const { version } = splitApiVersion(apiVersion)
  return new ApiError('BadRequest', `${kind.kind} in version "${version}" cannot be handled as a ${kind.kind}: ${text}`)
}
