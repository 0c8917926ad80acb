// Filters that HTTPRoute and GRPCRoute share: header changes, mirrors, extensions; and the rules that tie a filter's type to the
// field that configures it.
import {
  asWhole,
  type FieldTable,
  type ListField,
  type ListRule,
  type ObjectCheck,
  type ObjectField,
  type ObjectRule,
} from './field.ts'
import { headerNamed, headerValue, localReference } from './gateway-parts.ts'
import { headerName } from './http-headers.ts'
import { int32, texts, whole } from './parts.ts'
import { backendReference } from './route-backends.ts'

function headers(what: string) {
  return {
    type: 'list',
    text: what,
    use: asWhole,
    maxItems: 16,
    listType: 'map',
    mapKeys: ['name'],
    item: {
      type: 'object',
      text: 'One header.',
      use: asWhole,
      fields: { name: headerNamed('Name of the header.'), value: headerValue('Its value.') },
    },
  } as const satisfies ListField
}

/** Header names are the same in upper and lower case; the order of several changes of one header would be undefined. */
const eachHeaderOnce: ObjectCheck = (modifier, report) => {
  const seen = new Map<string, string>()
  for (const part of ['set', 'add', 'remove']) {
    const entries = (modifier[part] as readonly (string | { readonly name: string })[] | undefined) ?? []
    for (const [index, entry] of entries.entries()) {
      const name = typeof entry === 'string' ? entry : entry.name
      const first = seen.get(name.toLowerCase())
      if (first === undefined) seen.set(name.toLowerCase(), `${part}[${index}]`)
      else
        report([part, index], `changes the header "${name}", which ${first} changes already; join the two`, 'duplicate')
    }
  }
}

function headerModifier(what: string) {
  return {
    type: 'object',
    text: what,
    use: asWhole,
    checks: [eachHeaderOnce],
    fields: {
      set: headers('Headers that get this value instead of theirs.'),
      add: headers('Headers that get this value besides theirs.'),
      remove: texts('Headers that are taken out.', headerName, { maxItems: 16, listType: 'set' }),
    },
  } as const satisfies ObjectField
}

const share: ObjectRule = {
  message: 'numerator must be less than or equal to denominator',
  check: ({ numerator, denominator = 100 }, report) => {
    if (Number(numerator) > Number(denominator)) {
      report(['numerator'], `${numerator} is more than the denominator ${denominator}: the share would be above 1`)
    }
  },
}

const oneShare: ObjectRule = {
  message: 'Only one of percent or fraction may be specified in HTTPRequestMirrorFilter',
  check: ({ percent, fraction }, report) => {
    if (percent !== undefined && fraction !== undefined)
      report(['fraction'], 'cannot be combined with percent; keep one')
  },
}

const requestMirror = {
  type: 'object',
  text: 'Sends a copy of the requests to another backend, whose answers are dropped.',
  use: asWhole,
  rules: [oneShare],
  fields: {
    backendRef: backendReference('Where the copies go.'),
    percent: whole('Share of the requests in percent; all where absent.', 0, 100),
    fraction: {
      type: 'object',
      text: 'Share of the requests as a fraction.',
      use: asWhole,
      rules: [share],
      fields: {
        numerator: whole('Upper number.', 0, int32, { required: true }),
        denominator: whole('Lower number.', 1, int32, { default: 100 }),
      },
    },
  },
} as const satisfies ObjectField

export const sharedFilterFields = {
  requestHeaderModifier: headerModifier('Changes headers of the request.'),
  responseHeaderModifier: headerModifier('Changes headers of the response.'),
  requestMirror,
  extensionRef: localReference('A filter of another API.'),
} as const satisfies FieldTable

/** By type of filter: the field that configures it. */
export const sharedFilterTypes = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  ExtensionRef: 'extensionRef',
} as const

/** A filter has the field of its type, and no other (`HTTPRouteFilter`, `GRPCRouteFilter`). */
export function filterRules(types: Readonly<Record<string, string>>): readonly ObjectRule[] {
  return Object.entries(types).flatMap(([type, field]) => [
    {
      message: `filter.${field} must be nil if the filter.type is not ${type}`,
      check: (filter, report) => {
        if (filter[field] === undefined || filter['type'] === type) return
        report(
          [field],
          `is of filters of type ${type}, this one is of type ${String(filter['type'])}; put it into a filter of its own`,
        )
      },
    } satisfies ObjectRule,
    {
      message: `filter.${field} must be specified for ${type} filter.type`,
      check: (filter, report) => {
        if (filter['type'] === type && filter[field] === undefined)
          report([field], `is required for type ${type}`, 'required')
      },
    } satisfies ObjectRule,
  ])
}

export function atMostOnce(type: string): ListRule {
  return {
    message: `${type} filter cannot be repeated`,
    check: (filters, report) => {
      const first = filters.findIndex((filter) => filter['type'] === type)
      for (const [index, filter] of filters.entries()) {
        if (filter['type'] !== type || index === first) continue
        report([index], `is the second filter of type ${type}; join it with entry ${first}`, 'duplicate')
      }
    },
  }
}
