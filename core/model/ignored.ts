// Which fields of a valid resource do not take effect here, from the field tables. Feeds `status.conditions` (compile) and the
// Warning headers of the API: nothing is dropped in silence.
import { isObject } from './field-check.ts'
import type { Field, Path } from './fields/field.ts'
import { kindOf } from './kinds.ts'
import { formatPath } from './problem.ts'
import type { MeshObject } from './resource.ts'
import { tablesOf } from './validate.ts'

export interface IgnoredField {
  readonly path: string
  /** The same path in parts. */
  readonly at: Path
  readonly text: string
}

/** The fields that somebody set without effect, in the order of the object, each with what to tell them. */
export function ignoredFields(object: MeshObject): readonly IgnoredField[] {
  const kind = kindOf(object.apiVersion, object.kind)
  if (kind === undefined) return []
  const found: IgnoredField[] = []
  for (const [name, field] of Object.entries(tablesOf(kind))) {
    collect((object as unknown as Record<string, unknown>)[name], field, [name], found)
  }
  return found
}

function collect(value: unknown, field: Field, at: Path, found: IgnoredField[]): void {
  if (value === undefined || value === null) return
  const text = withoutEffect(value, field)
  if (text !== undefined) found.push({ path: formatPath(at), at, text })
  else if (field.type === 'list' && Array.isArray(value)) {
    for (const [index, item] of value.entries()) collect(item, field.item, [...at, index], found)
  } else if (field.type === 'map' && isObject(value)) {
    for (const [key, entry] of Object.entries(value)) collect(entry, field.value, [...at, key], found)
  } else if (field.type === 'object' && isObject(value)) {
    for (const [name, inner] of Object.entries(field.fields)) collect(value[name], inner, [...at, name], found)
  }
}

function withoutEffect(value: unknown, field: Field): string | undefined {
  switch (field.use.kind) {
    case 'enforced':
      return field.use.except?.(value)
    case 'layer7':
    case 'ignored':
    case 'refused':
      return field.use.text
  }
}
