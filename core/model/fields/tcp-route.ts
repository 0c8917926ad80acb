// TCPRoute (gateway.networking.k8s.io): which backends get the connections of a listener or service. Also the rules of TLSRoute.
import { asWhole, enforced, type ListField, type ObjectField, type ValueOf } from './field.ts'
import { sectionName } from './gateway-parts.ts'
import { distinctRuleNames, requiredBackends } from './route-backends.ts'
import { parentRefs, useDefaultGateways } from './route-parents.ts'

/** One rule with its backends; v1alpha2 had room for several, of which only one could ever take effect. */
export function layer4Rules(kind: 'TCPRoute' | 'TLSRoute') {
  const list = {
    type: 'list',
    text: 'The rule: where the connections go.',
    use: enforced(`waypoint: connections of a ${kind}`),
    required: true,
    minItems: 1,
    maxItems: 1,
    item: {
      type: 'object',
      text: 'One rule.',
      use: asWhole,
      fields: {
        name: sectionName('Name of the rule, by which policies refer to it.'),
        backendRefs: requiredBackends,
      },
    },
  } as const satisfies ListField
  return {
    ...list,
    forms: { v1alpha2: { ...list, maxItems: 16, rules: [distinctRuleNames] } },
  } as const satisfies ListField
}

export const tcpRouteSpec = {
  type: 'object',
  text: 'Routes for TCP connections.',
  use: asWhole,
  required: true,
  fields: { parentRefs, useDefaultGateways, rules: layer4Rules('TCPRoute') },
} as const satisfies ObjectField

export type TcpRouteSpec = ValueOf<typeof tcpRouteSpec>
