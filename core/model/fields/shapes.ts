// Builders for the parts of larger tables that parts.ts has not: objects, lists of objects, choices, numbers with fractions.
import { asWhole, type FieldTable, type ListField, type ObjectCheck, type ObjectField } from './field.ts'

type More<F> = Partial<Omit<F, 'type' | 'text' | 'fields' | 'item'>>

export function group<const Fields extends FieldTable, const Extra extends More<ObjectField> = Record<never, never>>(
  what: string,
  fields: Fields,
  extra?: Extra,
) {
  return { type: 'object', text: what, use: asWhole, fields, ...(extra as Extra) } as const
}

/** A list of objects; `item` is made with `group`. */
export function groups<const Item extends ObjectField, const Extra extends More<ListField> = Record<never, never>>(
  what: string,
  item: Item,
  extra?: Extra,
) {
  return { type: 'list', text: what, use: asWhole, item, ...(extra as Extra) } as const
}

/** One of some words. */
export function choice<const Values extends readonly string[]>(what: string, values: Values) {
  return { type: 'enum', text: what, use: asWhole, values } as const
}

/** A number with fractions. */
export function decimal(what: string, min: number, max?: number) {
  return { type: 'number', text: what, use: asWhole, min, ...(max === undefined ? {} : { max }) } as const
}

/** An object that is there must have something in it. */
export function notEmpty(...names: readonly string[]): ObjectCheck {
  return (value, report) => {
    if (names.every((name) => value[name] === undefined)) report([], `is empty: set one of ${names.join(', ')}`)
  }
}
