// The two halves of an apply on values: an applied configuration laid over the live object, and paths taken out of it. Pure, by the
// field tables; apply.ts calls both.
import type { Field } from '../../../core/model/fields/field.ts'
import { own, sharedShape } from './compare.ts'
import { type FieldSet, isEmpty } from './field-set.ts'
import { fieldStep } from './fields-v1.ts'
import { entryField, type Item, itemField, itemsOf, shapeOf } from './typed.ts'

/** The live value with the applied one over it; undefined stands for nothing. */
export function merge(live: unknown, applied: unknown, field: Field): unknown {
  if (applied === undefined) return live
  if (live === undefined) return applied
  const shape = sharedShape(live, applied, field)
  if (shape === 'leaf') return applied
  if (shape === 'list') return mergeLists(live as readonly unknown[], applied as readonly unknown[], field)
  const [held, wanted] = [live, applied] as readonly unknown[] as readonly Record<string, unknown>[]
  const names = new Set([...Object.keys(held!), ...Object.keys(wanted!)])
  return Object.fromEntries(
    [...names].map((name) => [name, merge(own(held!, name), own(wanted!, name), entryField(field, name))]),
  )
}

/**
 * Applied items keep their order among each other; a live item that was not applied stays behind the shared item that it follows
 * (structured-merge-diff, `visitListItems`).
 */
function mergeLists(live: readonly unknown[], applied: readonly unknown[], field: Field): readonly unknown[] {
  const left = itemsOf(live, field)
  const right = itemsOf(applied, field)
  const leftBy = firstBy(left)
  const rightBy = firstBy(right)
  const shared = right.filter(({ step }) => leftBy.has(step)).map(({ step }) => step)
  const done = new Set<string>()
  const merged: unknown[] = []
  const take = ({ step, value }: Item): void => {
    done.add(step)
    if (shared[0] === step) shared.shift()
    merged.push(merge(leftBy.get(step), value, itemField(field)))
  }
  for (let l = 0, r = 0; l < left.length || r < right.length; ) {
    const [mine, theirs] = [left[l], right[r]]
    const unique = mine !== undefined && !rightBy.has(mine.step)
    if (mine !== undefined && theirs !== undefined && mine.step === theirs.step) {
      take(theirs)
      l += 1
      r += 1
    } else if (
      mine !== undefined &&
      theirs !== undefined &&
      !unique &&
      shared[0] !== undefined &&
      shared[0] !== mine.step
    ) {
      l += 1
    } else if (unique) {
      merged.push(mine.value)
      l += 1
    } else if (theirs !== undefined && !done.has(theirs.step)) {
      if (mine !== undefined && done.has(mine.step)) l += 1
      take(theirs)
      r += 1
    } else if (theirs !== undefined) r += 1
    else l += 1
  }
  return merged
}

function firstBy(items: readonly Item[]): ReadonlyMap<string, unknown> {
  return new Map(items.toReversed().map(({ step, value }) => [step, value]))
}

/** The value without the paths of the set; undefined where nothing is left of something. */
export function removeItems(value: unknown, gone: FieldSet, field: Field): unknown {
  const shape = shapeOf(value, field)
  if (shape === 'leaf' || gone.children.size === 0) return value
  if (shape === 'list') {
    const items = value as readonly unknown[]
    const kept = itemsOf(items, field).flatMap(({ step, value: item }) =>
      remaining(item, gone.children.get(step), itemField(field)),
    )
    return kept.length === 0 && items.length > 0 ? undefined : kept
  }
  const entries = Object.entries(value as Record<string, unknown>)
  const kept = entries.flatMap(([name, entry]) =>
    remaining(entry, gone.children.get(fieldStep(name)), entryField(field, name)).map((left) => [name, left] as const),
  )
  return kept.length === 0 && entries.length > 0 ? undefined : Object.fromEntries(kept)
}

/** The value as a list of one, or of none where it goes. */
function remaining(value: unknown, gone: FieldSet | undefined, field: Field): readonly unknown[] {
  if (gone === undefined || isEmpty(gone)) return [value]
  if (gone.member) return []
  const left = removeItems(value, gone, field)
  return left === undefined ? [] : [left]
}
