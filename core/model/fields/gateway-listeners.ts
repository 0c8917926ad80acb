// Listeners of a Gateway: port, protocol, TLS, and the routes that may attach.
import { asWhole, enforced, ignored, type ListField, type ListRule, type ObjectField } from './field.ts'
import { anyHost, gatewayGroup, groupOf, kindName, secretReference, sectionName } from './gateway-parts.ts'
import { namespaceChoice } from './namespace-choice.ts'
import { port, text } from './parts.ts'
import { clip } from './rules.ts'

interface Listener {
  readonly name: string
  readonly port: number
  readonly protocol: string
  readonly hostname?: string
  readonly tls?: { readonly mode?: string }
}

/** A rule that looks at each listener alone. */
function each(
  message: string,
  wrong: (listener: Listener) => readonly [field: string, complaint: string] | undefined,
): ListRule<Listener> {
  return {
    message,
    check: (listeners, report) => {
      for (const [index, listener] of listeners.entries()) {
        const [field, complaint] = wrong(listener) ?? []
        if (field !== undefined && complaint !== undefined) report([index, ...field.split('.')], complaint)
      }
    },
  }
}

/** That names are distinct, the type of the list says. */
const distinct: ListRule<Listener> = {
  message: 'Combination of port, protocol and hostname must be unique for each listener',
  check: (listeners, report) => {
    const seen = new Map<string, string>()
    for (const [index, { name, port, protocol, hostname }] of listeners.entries()) {
      const key = JSON.stringify([port, protocol, hostname])
      const first = seen.get(key)
      const complaint = `has port, protocol and hostname of the listener "${first}"; change one of them`
      if (first === undefined) seen.set(key, name)
      else report([index], complaint, 'duplicate')
    }
  },
}

const listenerRules: readonly ListRule<Listener>[] = [
  each("tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']", ({ protocol, tls }) =>
    tls !== undefined && ['HTTP', 'TCP', 'UDP'].includes(protocol)
      ? ['tls', `is not for protocol ${protocol}; use ${protocol === 'HTTP' ? 'HTTPS' : 'TLS'}, or remove it`]
      : undefined,
  ),
  each('tls mode must be Terminate for protocol HTTPS', ({ protocol, tls }) =>
    protocol === 'HTTPS' && tls !== undefined && (tls.mode ?? 'Terminate') !== 'Terminate'
      ? ['tls.mode', 'must be Terminate for protocol HTTPS; use protocol TLS to pass connections through']
      : undefined,
  ),
  each('tls mode must be set for protocol TLS', ({ protocol, tls }) =>
    protocol === 'TLS' && tls === undefined
      ? ['tls', 'is required for protocol TLS; set mode to Passthrough, or to Terminate with certificateRefs']
      : undefined,
  ),
  each("hostname must not be specified for protocols ['TCP', 'UDP']", ({ protocol, hostname }) =>
    hostname !== undefined && ['TCP', 'UDP'].includes(protocol)
      ? ['hostname', `is not for protocol ${protocol}, which has no host names; remove it`]
      : undefined,
  ),
  distinct,
]

const protocolPattern =
  '^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\\/[A-Za-z0-9]+$'

const protocol = text('HTTP, HTTPS, TLS, TCP, UDP; HBONE for a waypoint; domain/name for others.', {
  required: true,
  minLength: 1,
  maxLength: 255,
  pattern: protocolPattern,
  check: (value: string) =>
    new RegExp(protocolPattern).test(value) ? undefined : `"${clip(value)}" is not a protocol such as HTTP or HBONE`,
})

const tls = {
  type: 'object',
  text: 'How TLS is ended.',
  use: ignored('tls has no effect: a waypoint speaks the mutual TLS of the mesh'),
  fields: {
    mode: {
      type: 'enum',
      text: 'Whether the gateway ends TLS or passes it through.',
      use: asWhole,
      values: ['Terminate', 'Passthrough'],
      default: 'Terminate',
    },
    certificateRefs: {
      type: 'list',
      text: 'Certificates that the gateway shows.',
      use: asWhole,
      maxItems: 64,
      item: secretReference('A Secret with a certificate and its key.'),
    },
    options: {
      type: 'map',
      text: 'Settings of an implementation.',
      use: asWhole,
      maxItems: 16,
      value: text('One setting.', { minLength: 0, maxLength: 4096 }),
    },
  },
  rules: [
    {
      message: 'certificateRefs or options must be specified when mode is Terminate',
      check: ({ mode = 'Terminate', certificateRefs = [], options = {} }, report) => {
        if (mode !== 'Terminate' || (certificateRefs as readonly unknown[]).length > 0) return
        if (Object.keys(options as object).length > 0) return
        report(['certificateRefs'], 'is required for mode Terminate; name the Secret with the certificate', 'required')
      },
    },
  ],
} as const satisfies ObjectField

const allowedRoutes = {
  type: 'object',
  text: 'Which routes may attach; of a waypoint, which namespaces may use it.',
  use: asWhole,
  default: { namespaces: { from: 'Same' } },
  fields: {
    namespaces: namespaceChoice('Namespaces of the routes.', ['All', 'Selector', 'Same'], 'Same'),
    kinds: {
      type: 'list',
      text: 'Kinds of the routes; those that fit the protocol where absent.',
      use: ignored('kinds have no effect: routes attach to Services, not to the listener of a waypoint'),
      maxItems: 8,
      item: {
        type: 'object',
        text: 'One kind.',
        use: asWhole,
        fields: {
          group: groupOf('API group of the kind.', { default: gatewayGroup }),
          kind: kindName('The kind.', { required: true }),
        },
      },
    },
  },
} as const satisfies ObjectField

export const listeners = {
  type: 'list',
  text: 'Ports at which the gateway listens.',
  use: enforced('compile: a waypoint has one for protocol HBONE on port 15008; the status tells of others'),
  required: true,
  minItems: 1,
  maxItems: 64,
  listType: 'map',
  mapKeys: ['name'],
  rules: listenerRules,
  item: {
    type: 'object',
    text: 'One port, or one host name at a port.',
    use: asWhole,
    fields: {
      name: sectionName('Name of the listener, by which routes refer to it.', { required: true }),
      hostname: {
        ...anyHost('Host name that clients ask for, any where absent.'),
        use: ignored('hostname has no effect: a waypoint takes whatever is for the services behind it'),
      },
      port: port('Port of the listener.', { required: true }),
      protocol,
      tls,
      allowedRoutes,
    },
  },
} as const satisfies ListField
