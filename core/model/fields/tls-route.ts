// TLSRoute (gateway.networking.k8s.io): which backends get TLS connections, by the server name that the client asks for.
import { asWhole, enforced, type ListField, type ObjectField, type ValueOf } from './field.ts'
import { anyHost } from './gateway-parts.ts'
import { parentRefs, useDefaultGateways } from './route-parents.ts'
import { layer4Rules } from './tcp-route.ts'

/** v1alpha2 took routes for every server name. */
const anyName = {
  type: 'list',
  text: 'Server names that the route is for.',
  use: enforced('waypoint: connections, by their server name'),
  maxItems: 1024,
  item: anyHost('One server name, which may begin with "*.".'),
} as const satisfies ListField

export const tlsRouteSpec = {
  type: 'object',
  text: 'Routes for TLS connections.',
  use: asWhole,
  required: true,
  fields: {
    parentRefs,
    useDefaultGateways,
    hostnames: { ...anyName, required: true, minItems: 1, forms: { v1alpha2: anyName } },
    rules: layer4Rules('TLSRoute'),
  },
} as const satisfies ObjectField

export type TlsRouteSpec = ValueOf<typeof tlsRouteSpec>
