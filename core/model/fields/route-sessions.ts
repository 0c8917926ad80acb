// Session persistence of HTTPRoute and GRPCRoute (GEP-1619): the requests of one client reach one backend.
import { asWhole, type ObjectField, type ObjectRule } from './field.ts'
import { gatewayDuration, headerNamed } from './gateway-parts.ts'
import { text } from './parts.ts'
import { clip } from './rules.ts'

const { required: _, ...cookieName } = headerNamed('Name of the cookie.')

const permanent: ObjectRule = {
  message: 'AbsoluteTimeout must be specified when cookie lifetimeType is Permanent',
  check: ({ cookie, absoluteTimeout }, report) => {
    const { lifetimeType } = (cookie ?? {}) as { readonly lifetimeType?: string }
    if (lifetimeType !== 'Permanent' || absoluteTimeout !== undefined) return
    report(['absoluteTimeout'], 'is required for a Permanent cookie; say how long the browser keeps it', 'required')
  },
}

/** The place of the session's key, told by `type`, is the one that may be configured. */
function placeRules(type: 'Cookie' | 'Header', field: 'cookie' | 'header'): readonly ObjectRule[] {
  return [
    {
      message: `${field} must be nil if type is not ${type}`,
      check: (session, report) => {
        if (session[field] === undefined || (session['type'] ?? 'Cookie') === type) return
        report([field], `is for type ${type} only; set type to ${type}, or remove it`)
      },
    },
    {
      message: `${field} must be specified for ${type} type`,
      check: (session, report) => {
        if ((session['type'] ?? 'Cookie') !== type || session[field] !== undefined) return
        report([field], `is required for type ${type}`, 'required')
      },
    },
  ]
}

export const sessionPersistence = {
  type: 'object',
  text: 'Keeps the requests of one client at one backend.',
  use: asWhole,
  rules: [permanent, ...placeRules('Cookie', 'cookie'), ...placeRules('Header', 'header')],
  fields: {
    type: {
      type: 'enum',
      text: 'Where the session is kept.',
      use: asWhole,
      values: ['Cookie', 'Header'],
      default: 'Cookie',
    },
    absoluteTimeout: gatewayDuration('How long a session lasts at most.'),
    cookie: {
      type: 'object',
      text: 'The cookie that keeps the session.',
      use: asWhole,
      fields: {
        name: cookieName,
        lifetimeType: {
          type: 'enum',
          text: 'Whether the browser keeps the cookie beyond its own session.',
          use: asWhole,
          values: ['Permanent', 'Session'],
          default: 'Session',
        },
        path: text('Paths for which the browser sends the cookie.', {
          maxLength: 1024,
          default: '/',
          check: (value: string) =>
            value.startsWith('/') && !/[;\p{Cc}]/u.test(value)
              ? undefined
              : `"${clip(value)}" is not a path; start it with "/"`,
        }),
      },
    },
    header: {
      type: 'object',
      text: 'The header that keeps the session.',
      use: asWhole,
      fields: { name: headerNamed('Name of the header.') },
    },
  },
} as const satisfies ObjectField
