// StringMatch: exact, prefix or regular expression, as VirtualService writes it for paths, headers and origins.
import { asWhole, type ObjectField } from './field.ts'
import { atMostOne, oneOf, text } from './parts.ts'
import { foreignToRe2 } from './re2.ts'
import { clip } from './rules.ts'

/** What Istio takes as an expression, as far as it can be told without RE2's parser. */
export function re2(value: string): string | undefined {
  if (value.length > 1024) return `has ${value.length} characters, at most 1024 are allowed`
  const wrong = foreignToRe2(value)
  return wrong === undefined ? undefined : `"${clip(value)}" ${wrong}`
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
