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
  if (value.startsWith(':')) return `"${clip(value)}" is a pseudo header, which cannot be changed here: use rewrite`
  return value.toLowerCase() === 'host' ? '"Host" can only be set, in request.set' : headerName(value)
}

/** Setting the Host of a request is how Istio's users rewrite the authority. */
const settable: ValueCheck<string> = (value) => (value.toLowerCase() === 'host' ? undefined : changeable(value))

/** RFC 9110 section 5.5: what would end the header, or the message, is not part of a value. */
export function headerValue(value: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return /[\x00-\x08\x0a-\x1f\x7f]/.test(value) ? 'has control characters, which headers cannot carry' : undefined
}

function values(what: string, key: ValueCheck<string>) {
  const value = text('Value of the header.', { check: headerValue })
  return { type: 'map', text: what, use: asWhole, key, value } as const
}

function operations(what: string, set: ValueCheck<string>) {
  return {
    type: 'object',
    text: what,
    use: asWhole,
    fields: {
      set: values('Headers that get this value instead of theirs.', set),
      add: values('Headers that get this value besides theirs.', changeable),
      remove: texts('Headers that are taken out.', changeable),
    },
  } as const
}

export const headerChanges = {
  type: 'object',
  text: 'Changes of headers.',
  use: asWhole,
  fields: {
    request: operations('Changes of the request.', settable),
    response: operations('Changes of the response.', changeable),
  },
} as const satisfies ObjectField
