// Builders for the plain parts of larger tables, whose use is that of the whole: texts, numbers, lists of texts, label maps. The
// tables of the routing kinds are made of these.
import {
  asWhole,
  type IntegerField,
  type ListField,
  type ObjectRule,
  type StringField,
  type ValueCheck,
} from './field.ts'
import { all, clip, labelValue, qualifiedName } from './rules.ts'

type More<F> = Partial<Omit<F, 'type' | 'text'>>

/** The largest numbers of protobuf's types. */
export const int32 = 2_147_483_647
export const uint32 = 4_294_967_295

export function text<const Extra extends More<StringField> = Record<never, never>>(what: string, extra?: Extra) {
  return { type: 'string', text: what, use: asWhole, ...(extra as Extra) } as const
}

export function whole<const Extra extends More<IntegerField> = Record<never, never>>(
  what: string,
  min: number,
  max: number,
  extra?: Extra,
) {
  return { type: 'integer', text: what, use: asWhole, min, max, ...(extra as Extra) } as const
}

export function port<const Extra extends More<IntegerField> = Record<never, never>>(what: string, extra?: Extra) {
  return whole(what, 1, 65_535, extra)
}

export function flag(what: string) {
  return { type: 'boolean', text: what, use: asWhole } as const
}

/** A list of texts, each of which passes the check. */
export function texts<const Extra extends More<ListField> = Record<never, never>>(
  what: string,
  check?: ValueCheck<string>,
  extra?: Extra,
) {
  const item = { type: 'string', text: 'One value.', use: asWhole, ...(check === undefined ? {} : { check }) } as const
  return { type: 'list', text: what, use: asWhole, item, ...(extra as Extra) } as const
}

const noWildcard = (value: string): string | undefined =>
  value.includes('*') ? `"${clip(value)}" has a wildcard, which is not allowed here` : undefined

/** Labels that something must carry. */
export function labels(what: string, maxItems?: number) {
  const value = {
    type: 'string',
    text: 'The exact value of the label.',
    use: asWhole,
    check: all(noWildcard, labelValue),
  } as const
  const most = maxItems === undefined ? {} : { maxItems }
  return { type: 'map', text: what, use: asWhole, key: all(noWildcard, qualifiedName), value, ...most } as const
}

/** protobuf's `oneof`: the message is the one by which the oracle's extraction tells it. */
export function atMostOne(...names: readonly string[]): ObjectRule {
  return {
    message: `at most one of ${names.join(', ')}`,
    check: (value, report) => {
      const [first, second] = names.filter((name) => value[name] !== undefined)
      if (second !== undefined) report([second], `cannot be combined with ${first}`)
    },
  }
}

/** Like `atMostOne`, and none is not enough. */
export function oneOf(...names: readonly string[]): ObjectRule {
  const { message, check } = atMostOne(...names)
  return {
    message,
    check: (value, report) => {
      check(value, report)
      if (names.every((name) => value[name] === undefined)) report([], `needs one of ${names.join(', ')}`, 'required')
    },
  }
}
