// Filters of HTTPRoute: those that it shares with GRPCRoute, redirects, rewrites, CORS and external authorization.
import { asWhole, type FieldTable, type ListField, type ListRule, type ObjectField, type ObjectRule } from './field.ts'
import { headerNamed, preciseHost } from './gateway-parts.ts'
import { gatewayPath, httpMethods } from './http-matches.ts'
import { flag, int32, port, text, texts, whole } from './parts.ts'
import { backendReference } from './route-backends.ts'
import { atMostOnce, filterRules, sharedFilterFields, sharedFilterTypes } from './route-filters.ts'
import { clip } from './rules.ts'

/** A union: the field is set where, and only where, `by` has the value. */
function tied(by: string, value: string, field: string): readonly ObjectRule[] {
  return [
    {
      message: `${field} must be specified when ${by} is set to '${value}'`,
      check: (object, report) => {
        if (object[by] === value && object[field] === undefined)
          report([field], `is required for ${by} ${value}`, 'required')
      },
    },
    {
      message: `${by} must be '${value}' when ${field} is set`,
      check: (object, report) => {
        if (object[field] !== undefined && object[by] !== value) {
          report([field], `is for ${by} ${value} only; set ${by} to ${value}, or remove it`)
        }
      },
    },
  ]
}

const pathModifier = {
  type: 'object',
  text: 'Another path.',
  use: asWhole,
  rules: [
    ...tied('type', 'ReplaceFullPath', 'replaceFullPath'),
    ...tied('type', 'ReplacePrefixMatch', 'replacePrefixMatch'),
  ],
  fields: {
    type: {
      type: 'enum',
      text: 'What is replaced.',
      use: asWhole,
      required: true,
      values: ['ReplaceFullPath', 'ReplacePrefixMatch'],
    },
    replaceFullPath: text('The whole new path.', { maxLength: 1024 }),
    replacePrefixMatch: text('What stands instead of the prefix that matched.', { maxLength: 1024 }),
  },
} as const satisfies ObjectField

const requestRedirect = {
  type: 'object',
  text: 'Answers with a redirect; what is absent stays as in the request.',
  use: asWhole,
  fields: {
    scheme: { type: 'enum', text: 'Scheme of the new address.', use: asWhole, values: ['http', 'https'] },
    hostname: preciseHost('Host of the new address.'),
    path: pathModifier,
    port: port('Port of the new address.'),
    statusCode: whole('Status of the answer.', 301, 308, { values: [301, 302, 303, 307, 308], default: 302 }),
  },
} as const satisfies ObjectField

const urlRewrite = {
  type: 'object',
  text: 'Changes host or path of the request before it goes on.',
  use: asWhole,
  fields: { hostname: preciseHost('The new host.'), path: pathModifier },
} as const satisfies ObjectField

function everythingAlone(message: string): readonly ListRule<string>[] {
  const check: ListRule<string>['check'] = (values, report) => {
    if (values.length > 1 && values.includes('*')) report([], 'has "*" beside other values: "*" must stand alone')
  }
  return [{ message, check }]
}

const originPattern = '(^\\*$)|(^(http(s)?):\\/\\/(((\\*\\.)?([a-zA-Z0-9\\-]+\\.)*[a-zA-Z0-9-]+|\\*)(:([0-9]{1,5}))?)$)'

const origin = text('One origin.', {
  minLength: 1,
  maxLength: 253,
  pattern: originPattern,
  check: (value: string) =>
    new RegExp(originPattern).test(value)
      ? undefined
      : `"${clip(value)}" is not an origin such as https://example.com, https://*.example.com:8443 or *`,
})

const { required: _, ...headerItem } = headerNamed('One header.')

function headerNames(what: string) {
  return { type: 'list', text: what, use: asWhole, maxItems: 64, listType: 'set', item: headerItem } as const
}

const cors = {
  type: 'object',
  text: 'Answers preflight requests of browsers and marks the answers for other origins.',
  use: asWhole,
  fields: {
    allowOrigins: {
      type: 'list',
      text: 'Origins that may read.',
      use: asWhole,
      maxItems: 64,
      listType: 'set',
      item: origin,
      rules: everythingAlone("AllowOrigins cannot contain '*' alongside other origins"),
    },
    allowCredentials: flag('Whether browsers may send cookies and credentials along.'),
    allowMethods: {
      type: 'list',
      text: 'Methods that other origins may use.',
      use: asWhole,
      maxItems: 9,
      listType: 'set',
      item: { type: 'enum', text: 'One method, or * for all.', use: asWhole, values: [...httpMethods, '*'] },
      rules: everythingAlone("AllowMethods cannot contain '*' alongside other methods"),
    },
    allowHeaders: {
      ...headerNames('Headers that other origins may send.'),
      rules: everythingAlone("AllowHeaders cannot contain '*' alongside other methods"),
    },
    exposeHeaders: headerNames('Headers of the answer that other origins may read.'),
    maxAge: whole('For how many seconds a browser keeps the answer to a preflight.', 1, int32, { default: 5 }),
  },
} as const satisfies ObjectField

function names(what: string) {
  return texts(what, undefined, { maxItems: 64, listType: 'set' })
}

const externalAuth = {
  type: 'object',
  text: 'Asks another service whether the request may go on.',
  use: asWhole,
  rules: [...tied('protocol', 'GRPC', 'grpc'), ...tied('protocol', 'HTTP', 'http')],
  fields: {
    protocol: {
      type: 'enum',
      text: 'How the service is asked.',
      use: asWhole,
      required: true,
      values: ['HTTP', 'GRPC'],
    },
    backendRef: backendReference('The service that decides.'),
    grpc: {
      type: 'object',
      text: 'Details of GRPC.',
      use: asWhole,
      fields: { allowedHeaders: names('Headers of the request that are passed on.') },
    },
    http: {
      type: 'object',
      text: 'Details of HTTP.',
      use: asWhole,
      fields: {
        path: text('Path in front of that of the request.', {
          maxLength: 1024,
          pattern: gatewayPath.source,
          check: (value: string) =>
            gatewayPath.test(value)
              ? undefined
              : `"${clip(value)}" is not a path such as /check; encode other characters as %20`,
        }),
        allowedHeaders: names('Headers of the request that are passed on.'),
        allowedResponseHeaders: names('Headers of the answer that the request gets.'),
      },
    },
    forwardBody: {
      type: 'object',
      text: 'Passes the body of the request on too.',
      use: asWhole,
      fields: { maxSize: whole('At most this many bytes of it.', 0, int32) },
    },
  },
} as const satisfies ObjectField

const types = {
  ...sharedFilterTypes,
  CORS: 'cors',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExternalAuth: 'externalAuth',
} as const

const filterFields = {
  type: {
    type: 'enum',
    text: 'What the filter does; the field of that name says how.',
    use: asWhole,
    required: true,
    values: Object.keys(types) as readonly (keyof typeof types)[],
  },
  ...sharedFilterFields,
  requestRedirect,
  urlRewrite,
  cors,
  externalAuth,
} as const satisfies FieldTable

const redirectOrRewrite: ListRule = {
  message: 'May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both',
  check: (filters, report) => {
    const index = filters.findIndex(({ type }) => type === 'URLRewrite')
    if (index < 0 || !filters.some(({ type }) => type === 'RequestRedirect')) return
    report([index], 'cannot be combined with a RequestRedirect, which answers the request itself; keep one of the two')
  },
}

const onceTypes = ['CORS', 'RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite'] as const

export function httpFilters(what: string) {
  return {
    type: 'list',
    text: what,
    use: asWhole,
    maxItems: 16,
    item: { type: 'object', text: 'One filter.', use: asWhole, fields: filterFields, rules: filterRules(types) },
    rules: [redirectOrRewrite, ...onceTypes.map(atMostOnce)],
  } as const satisfies ListField
}
