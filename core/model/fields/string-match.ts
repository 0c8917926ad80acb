// StringMatch: exact, prefix or regular expression, as VirtualService writes it for paths, headers and origins.
import { asWhole, type ObjectField } from './field.ts'
import { atMostOne, oneOf, text } from './parts.ts'
import { clip } from './rules.ts'

/** RE2 has neither look-around nor back references. */
const notRe2 = /\(\?(?:[=!]|<[=!])|\\[1-9]/

/** RE2 syntax, as far as it can be told without its parser. */
export function re2(value: string): string | undefined {
  if (value.length > 1024) return `has ${value.length} characters, at most 1024 are allowed`
  if (notRe2.test(value))
    return `"${clip(value)}" uses look-around or back references, which RE2 does not have; write several matches instead`
  // what JavaScript writes in another way
  const own = value
    .replace(/\(\?[imsU]+\)/g, '')
    .replaceAll('(?P<', '(?<')
    .replace(/\\[AzQEC]/g, '')
    .replace(/\[\[:\^?\w+:\]\]/g, '[a]')
  try {
    new RegExp(own)
    return undefined
  } catch {
    return `"${clip(value)}" is not a regular expression; a literal . * + ? ( ) [ ] needs a backslash`
  }
}

const notEmpty = (value: string): string | undefined =>
  value === '' ? 'is empty and would match everything' : undefined
const expression = (value: string): string | undefined => (value === '' ? 'is empty' : re2(value))

const prefix = text('What the value starts with.', { check: notEmpty })
const fields = {
  exact: text('The exact value.'),
  prefix,
  regex: text('A regular expression (RE2) for the whole value.', { check: expression }),
} as const

const one = oneOf('exact', 'prefix', 'regex')

/** Exactly one way to match. */
export function stringMatch(what: string) {
  return { type: 'object', text: what, use: asWhole, fields, rules: [one] } as const satisfies ObjectField
}

/** A path: the empty prefix is one of every path. */
export function pathMatch(what: string) {
  const paths = { ...fields, prefix: text('What the path starts with, byte by byte: /v2 takes /v2x too.') } as const
  return { type: 'object', text: what, use: asWhole, fields: paths, rules: [one] } as const satisfies ObjectField
}

/** An origin of CORS: also the exact value must not be empty. */
export function originMatch(what: string) {
  const origins = { ...fields, exact: text('The exact value.', { check: notEmpty }) } as const
  return { type: 'object', text: what, use: asWhole, fields: origins, rules: [one] } as const satisfies ObjectField
}

/** Without any way it matches where a value is there at all, as does the expression `*`. */
export function presenceMatch(what: string) {
  const present = {
    ...fields,
    regex: text('A regular expression (RE2) for the whole value; "*" takes any.', {
      check: (value: string) => (value === '*' ? undefined : expression(value)),
    }),
  } as const
  const rules = [atMostOne('exact', 'prefix', 'regex')]
  return { type: 'object', text: what, use: asWhole, fields: present, rules } as const satisfies ObjectField
}
