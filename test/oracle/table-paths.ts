// Walks field tables by the paths of the oracle. For the tests of the field tables.
import { type Field, type FieldTable, fieldAt } from '../../core/model/fields/field.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'

/** A field of a table with those that it stands in, outermost first. */
export interface Placed {
  readonly field: Field
  readonly parents: readonly Field[]
}

/** Every field of that version by path: `[]` for items of a list, `{}` for values of a map. */
export function placedFields(kind: Kind, version: string): ReadonlyMap<string, Placed> {
  const found = new Map<string, Placed>()
  const table: FieldTable = kind.status === undefined ? kind.body : { ...kind.body, status: kind.status }
  for (const [name, field] of Object.entries(table)) place(field, name, version, [], found)
  return found
}

function place(
  written: Field,
  path: string,
  version: string,
  parents: readonly Field[],
  found: Map<string, Placed>,
): void {
  const field = fieldAt(written, version)
  if (field === undefined) return
  found.set(path, { field, parents })
  const inside = [...parents, field]
  if (field.type === 'list') place(field.item, `${path}[]`, version, inside, found)
  if (field.type === 'map') place(field.value, `${path}{}`, version, inside, found)
  if (field.type !== 'object') return
  for (const [name, inner] of Object.entries(field.fields)) place(inner, `${path}.${name}`, version, inside, found)
}

/** As the oracle calls it. */
export function typeOf(field: Field): string {
  if (field.type === 'integer' && field.values !== undefined) return `enum ${field.values.join('|')}`
  return field.type === 'enum' ? `enum ${[...field.values].sort().join('|')}` : field.type
}

/** Whether nobody can set the field, so that no rule about it matters. */
export function isRefused({ field, parents }: Placed): boolean {
  return [field, ...parents].some(({ use }) => use.kind === 'refused')
}
