// What changed between two states of an object, as three sets of field paths. Pure; managers.ts takes ownership by it.
import { isDeepStrictEqual } from 'node:util'
import type { Field } from '../../../core/model/fields/field.ts'
import { emptySet, type FieldSet, isEmpty, leaf, node, union } from './field-set.ts'
import { fieldStep } from './fields-v1.ts'
import { entryField, itemField, itemsOf, shapeOf } from './typed.ts'

export interface Comparison {
  readonly added: FieldSet
  readonly modified: FieldSet
  readonly removed: FieldSet
}

const same: Comparison = { added: emptySet, modified: emptySet, removed: emptySet }

export function isSameContent({ added, modified, removed }: Comparison): boolean {
  return isEmpty(added) && isEmpty(modified) && isEmpty(removed)
}

/** Written by this comparison: what a manager owns afterwards. */
export function writtenBy({ added, modified }: Comparison): FieldSet {
  return union(added, modified)
}

/** undefined stands for a value that is not there. */
export function compare(before: unknown, after: unknown, field: Field): Comparison {
  const shape = sharedShape(before, after, field)
  if (shape === 'leaf') return compareLeaf(before, after)
  const parts = shape === 'list' ? comparedItems(before, after, field) : comparedEntries(before, after, field)
  const collect = (pick: (part: Comparison) => FieldSet, member: boolean): FieldSet =>
    node(
      member,
      parts.map(([step, part]) => [step, pick(part)] as const),
    )
  return {
    added: collect(({ added }) => added, before === undefined),
    modified: collect(({ modified }) => modified, false),
    removed: collect(({ removed }) => removed, after === undefined),
  }
}

/** How both are shared; two empty ones are one piece, which keeps `{}` apart from nothing. */
export function sharedShape(before: unknown, after: unknown, field: Field): 'leaf' | 'object' | 'list' {
  const shapes = [before, after].filter((value) => value !== undefined).map((value) => shapeOf(value, field))
  const [first = 'leaf', second = first] = shapes
  if (first !== second) return 'leaf'
  return isBlank(before) && isBlank(after) ? 'leaf' : first
}

function isBlank(value: unknown): boolean {
  return value === undefined || Object.keys(value as object).length === 0
}

function compareLeaf(before: unknown, after: unknown): Comparison {
  if (before === undefined) return { ...same, added: leaf }
  if (after === undefined) return { ...same, removed: leaf }
  return isDeepStrictEqual(before, after) ? same : { ...same, modified: leaf }
}

type Part = readonly [string, Comparison]

function comparedEntries(before: unknown, after: unknown, field: Field): readonly Part[] {
  const [old, now] = [before ?? {}, after ?? {}] as Record<string, unknown>[]
  const names = new Set([...Object.keys(old!), ...Object.keys(now!)])
  return [...names].map((name) => {
    const [left, right] = [own(old!, name), own(now!, name)]
    if (left === undefined && right === undefined) return [fieldStep(name), same]
    return [fieldStep(name), compare(left, right, entryField(field, name))]
  })
}

export function own(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** Items by step; the values of a step that stands several times are compared as one piece. */
function comparedItems(before: unknown, after: unknown, field: Field): readonly Part[] {
  const old = grouped((before ?? []) as readonly unknown[], field)
  const now = grouped((after ?? []) as readonly unknown[], field)
  return [...new Set([...old.keys(), ...now.keys()])].map((step) => {
    const [left, right] = [old.get(step), now.get(step)]
    if ((left?.length ?? 0) > 1 || (right?.length ?? 0) > 1) return [step, compareLeaf(left, right)]
    return [step, compare(left?.[0], right?.[0], itemField(field))]
  })
}

function grouped(list: readonly unknown[], field: Field): ReadonlyMap<string, readonly unknown[]> {
  const groups = new Map<string, unknown[]>()
  for (const { step, value } of itemsOf(list, field)) {
    const group = groups.get(step)
    if (group === undefined) groups.set(step, [value])
    else group.push(value)
  }
  return groups
}
