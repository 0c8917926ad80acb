// Which requests and connections a rule of a VirtualService takes. virtual-service.ts and virtual-service-http.ts are made of these.
import { asWhole, type FieldTable, ignored, type ObjectField } from './field.ts'
import { wildcardHostOrAddress } from './hosts.ts'
import { headerName } from './http-headers.ts'
import { flag, labels, port, text, texts } from './parts.ts'
import { addressBlock, clip, dnsLabel, dnsSubdomain } from './rules.ts'
import { pathMatch, presenceMatch, stringMatch } from './string-match.ts'

/** `mesh`, `name`, `namespace/name`, or Istio's older `name.namespace.svc.cluster.local`. */
export function gatewayName(value: string): string | undefined {
  const parts = value.split('/')
  const valid =
    parts.length === 1
      ? dnsSubdomain(value) === undefined
      : parts.length === 2 && parts.every((part) => dnsLabel(part) === undefined)
  return valid ? undefined : `"${clip(value)}" is not a gateway: write mesh, name or namespace/name`
}

const namespaceOrNone = (value: string): string | undefined => (value === '' ? undefined : dnsLabel(value))

/** What every rule may ask of the caller and of the connection. */
const connection = {
  port: port('Port that the connection goes to.'),
  sourceLabels: labels('Labels of the caller.'),
  sourceNamespace: text('Namespace of the caller.', { check: namespaceOrNone }),
  gateways: texts('Gateways that the rule holds for, instead of those of the whole.', gatewayName),
} as const satisfies FieldTable

const destinationSubnets = texts('Addresses that the connection goes to.', addressBlock)

/** `@request.auth.claims.group` or `@request.auth.claims[a][b]`: a claim of the caller's token. */
const claim = /^@request\.auth\.claims(?:\.[^[\]]+|(?:\[[^[\]]+\])+)$/

function headerOrClaim(value: string): string | undefined {
  if (!value.startsWith('@')) return headerName(value)
  return claim.test(value) ? undefined : `"${clip(value)}" is not a claim such as @request.auth.claims.group`
}

export const httpMatch = {
  type: 'object',
  text: 'All fields that are set must match.',
  use: asWhole,
  fields: {
    name: text('Name of the match, for logs.'),
    uri: pathMatch('Path of the request.'),
    ignoreUriCase: flag('Whether uri matches upper and lower case alike; not for regex.'),
    scheme: stringMatch('Scheme: http or https.'),
    method: stringMatch('Method of the request.'),
    authority: stringMatch('Host header of the request.'),
    headers: {
      type: 'map',
      text: 'Headers, all of which must match.',
      use: asWhole,
      key: headerOrClaim,
      value: presenceMatch('How the header matches; where it is empty, the header must be there.'),
    },
    withoutHeaders: {
      type: 'map',
      text: 'Headers, none of which may match.',
      use: asWhole,
      key: headerOrClaim,
      value: presenceMatch('How the header matches; where it is empty, the header must not be there.'),
    },
    queryParams: {
      type: 'map',
      text: 'Parameters of the query, all of which must match.',
      use: asWhole,
      value: presenceMatch('How the parameter matches; where it is empty, it must be there.'),
    },
    ...connection,
    statPrefix: text('Prefix of the metrics of what matches.', {
      use: ignored('statPrefix has no effect: metrics are told apart by service and workload'),
    }),
  },
} as const satisfies ObjectField

export const tcpMatch = {
  type: 'object',
  text: 'All fields that are set must match.',
  use: asWhole,
  fields: {
    destinationSubnets,
    ...connection,
    sourceSubnet: text('Addresses of the caller.', {
      check: (value: string) => (value === '' ? undefined : addressBlock(value)),
    }),
  },
} as const satisfies ObjectField

export const tlsMatch = {
  type: 'object',
  text: 'All fields that are set must match.',
  use: asWhole,
  fields: {
    sniHosts: texts('Server names that the client asks for; each within a host of the whole.', wildcardHostOrAddress, {
      required: true,
      minItems: 1,
    }),
    destinationSubnets,
    ...connection,
  },
} as const satisfies ObjectField
