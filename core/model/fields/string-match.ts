// StringMatch: exact, prefix or regular expression, as VirtualService writes it for paths, headers and origins.
import { asWhole, type ObjectField } from './field.ts'
import { atMostOne, oneOf, text } from './parts.ts'
import { clip } from './rules.ts'

/** RE2 has neither look-around nor back references. */
const notRe2 = /\(\?(?:[=!]|<[=!])|\\[1-9]/

/** RE2 syntax, as far as it can be told without its parser. */
export function re2(value: string): string | undefined {
  if (value.length > 1024) return `has ${value.length} characters, at most 1024 are allowed`
  if (notRe2.test(value)) return `"${clip(value)}" uses look-around or back references, which RE2 does not have`
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
    return `"${clip(value)}" is not a regular expression`
  }
}

const fields = {
  exact: text('The exact value.'),
  prefix: text('What the value starts with.', {
    check: (value: string) => (value === '' ? 'is empty and would match everything' : undefined),
  }),
  regex: text('A regular expression (RE2) for the whole value.', {
    check: (value: string) => (value === '' ? 'is empty' : re2(value)),
  }),
} as const

/** Exactly one way to match. */
export function stringMatch(what: string) {
  return {
    type: 'object',
    text: what,
    use: asWhole,
    fields,
    rules: [oneOf('exact', 'prefix', 'regex')],
  } as const satisfies ObjectField
}

/** Without any way it matches where a value is there at all. */
export function presenceMatch(what: string) {
  return {
    type: 'object',
    text: what,
    use: asWhole,
    fields,
    rules: [atMostOne('exact', 'prefix', 'regex')],
  } as const satisfies ObjectField
}
