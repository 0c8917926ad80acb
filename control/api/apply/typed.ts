// How field tables cut an object into what managers can own: granular objects and maps, lists by key or by value, and everything
// else as one piece. Used by compare.ts and merge.ts, with the semantics of sigs.k8s.io/structured-merge-diff.
import { isObject } from '../../../core/model/field-check.ts'
import { asWhole, type Field, type ListField } from '../../../core/model/fields/field.ts'
import { metadataField } from '../../../core/model/fields/metadata.ts'
import type { Kind } from '../../../core/model/kinds/kind.ts'
import { type FieldSet, leaf, node } from './field-set.ts'
import { fieldStep, keyStep, positionStep, valueStep } from './fields-v1.ts'

/** What is known of a field that no table has: objects are granular, lists are not. */
export const anyField: Field = { type: 'any', text: 'Any value.', use: asWhole }

const text: Field = { type: 'string', text: 'Any text.', use: asWhole }

/** The status of kinds that say nothing about it. */
const anyStatus: Field = {
  type: 'object',
  text: 'What became of the object.',
  use: asWhole,
  fields: {
    conditions: {
      type: 'list',
      text: 'One entry per question that status answers.',
      use: asWhole,
      listType: 'map',
      mapKeys: ['type'],
      item: anyField,
    },
  },
}

const roots = new WeakMap<Kind, Field>()

/** The whole object of a kind as one field. */
export function rootField(kind: Kind): Field {
  const known = roots.get(kind)
  if (known !== undefined) return known
  const fields = {
    apiVersion: text,
    kind: text,
    metadata: metadataField,
    ...kind.body,
    status: kind.status ?? anyStatus,
  }
  const root: Field = { type: 'object', text: 'The object.', use: asWhole, fields }
  roots.set(kind, root)
  return root
}

/** The field of an entry of an object. */
export function entryField(field: Field, name: string): Field {
  if (field.type === 'map') return field.value
  if (field.type === 'object' && Object.hasOwn(field.fields, name)) return field.fields[name]!
  return anyField
}

export function isDeclared(field: Field, name: string): boolean {
  return field.type === 'object' && Object.hasOwn(field.fields, name)
}

export function itemField(field: Field): Field {
  return field.type === 'list' ? field.item : anyField
}

export type Shape = 'leaf' | 'object' | 'list'

/** Whether managers share the value piece by piece. A value that is not what its field says is one piece. */
export function shapeOf(value: unknown, field: Field): Shape {
  if (Array.isArray(value)) return field.type === 'list' && isGranularList(field) ? 'list' : 'leaf'
  if (!isObject(value)) return 'leaf'
  if (field.type === 'any') return 'object'
  if (field.type !== 'object' && field.type !== 'map') return 'leaf'
  return field.atomic === true ? 'leaf' : 'object'
}

function isGranularList(field: ListField): boolean {
  return field.listType === 'set' || (field.listType === 'map' && field.mapKeys !== undefined)
}

export interface Item {
  readonly step: string
  readonly value: unknown
}

/** The items of a granular list with their steps; an item without any of its keys goes by its position. */
export function itemsOf(list: readonly unknown[], field: Field): readonly Item[] {
  return list.map((value, index) => ({ step: stepOf(value, index, field), value }))
}

function stepOf(value: unknown, index: number, field: Field): string {
  if (field.type !== 'list' || field.listType !== 'map') return valueStep(value)
  if (!isObject(value)) return positionStep(index)
  const keys = (field.mapKeys ?? []).flatMap((name) => {
    const key = value[name] ?? entryField(field.item, name).default
    return key === undefined ? [] : [[name, key] as const]
  })
  return keys.length === 0 ? positionStep(index) : keyStep(keys)
}

/** Every path that somebody who wrote this value owns; the value itself is the parent's to count. */
export function fieldSetOf(value: unknown, field: Field): FieldSet {
  const shape = shapeOf(value, field)
  if (shape === 'leaf') return leaf
  if (shape === 'list') {
    const items = itemsOf(value as readonly unknown[], field)
    return node(
      false,
      items.map(({ step, value: item }) => [step, { ...fieldSetOf(item, itemField(field)), member: true }] as const),
    )
  }
  const entries = Object.entries(value as Record<string, unknown>).map(([name, entry]) => {
    const set = fieldSetOf(entry, entryField(field, name))
    const member = !isDeclared(field, name) || entry === null || (isObject(entry) && Object.keys(entry).length === 0)
    return [fieldStep(name), member ? { ...set, member: true } : set] as const
  })
  return node(false, entries)
}

/** The set with every declared field on the way to a member, so that removing all of a field's content removes the field. */
export function withNamedFields(set: FieldSet, field: Field): FieldSet {
  const children = [...set.children].map(([step, child]) => {
    const name = step.slice(2)
    const named = step.startsWith('f:')
    const below = withNamedFields(child, named ? entryField(field, name) : itemField(field))
    return [step, named && isDeclared(field, name) ? { ...below, member: true } : below] as const
  })
  return node(set.member, children)
}

/** Duplicate or missing keys in granular lists, as `.spec.ports: duplicate entries for key [port=80]`. */
export function* keyProblems(
  value: unknown,
  field: Field,
  at: readonly string[] = [],
): Generator<[readonly string[], string]> {
  const shape = shapeOf(value, field)
  if (shape === 'object') {
    for (const [name, entry] of Object.entries(value as Record<string, unknown>))
      yield* keyProblems(entry, entryField(field, name), [...at, fieldStep(name)])
  }
  if (shape !== 'list') return
  const seen = new Set<string>()
  for (const { step, value: item } of itemsOf(value as readonly unknown[], field)) {
    if (step.startsWith('i:')) yield [at, 'associative list with keys has an element that omits all key fields']
    else if (seen.has(step)) yield [[...at, step], 'duplicate entries for key']
    seen.add(step)
    yield* keyProblems(item, itemField(field), [...at, step])
  }
}
