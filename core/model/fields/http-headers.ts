// Names of HTTP headers, and how routes change headers.
import { asWhole, type ObjectField, type ValueCheck } from './field.ts'
import { text, texts } from './parts.ts'
import { clip } from './rules.ts'

const token = /^[-!#$%&'*+.^_`|~A-Za-z0-9]+$/

/** RFC 9110 section 5.1. */
export function headerName(value: string): string | undefined {
  return token.test(value) ? undefined : `"${clip(value)}" is not a header name`
}

/** Pseudo headers have fields of their own: a change of them goes there. */
const changeable: ValueCheck<string> = (value) => {
  if (value.startsWith(':')) return `"${clip(value)}" is a pseudo header: use rewrite`
  return value.toLowerCase() === 'host' ? '"Host" is changed by rewrite.authority' : headerName(value)
}

function values(what: string) {
  return { type: 'map', text: what, use: asWhole, key: changeable, value: text('Value of the header.') } as const
}

function operations(what: string) {
  return {
    type: 'object',
    text: what,
    use: asWhole,
    fields: {
      set: values('Headers that get this value instead of theirs.'),
      add: values('Headers that get this value besides theirs.'),
      remove: texts('Headers that are taken out.', headerName),
    },
  } as const
}

export const headerChanges = {
  type: 'object',
  text: 'Changes of headers.',
  use: asWhole,
  fields: { request: operations('Changes of the request.'), response: operations('Changes of the response.') },
} as const satisfies ObjectField
