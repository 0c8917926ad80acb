// The Gateway API's kinds: waypoints and routes.
import { gatewaySpec } from '../fields/gateway.ts'
import { gatewayClassSpec } from '../fields/gateway-class.ts'
import { gatewayGroup } from '../fields/gateway-parts.ts'
import { gatewayClassStatus, gatewayStatus, routeStatus } from '../fields/gateway-status.ts'
import { grpcRouteSpec } from '../fields/grpc-route.ts'
import { httpRouteSpec } from '../fields/http-route.ts'
import { referenceGrantSpec } from '../fields/reference-grant.ts'
import { dnsSubdomain } from '../fields/rules.ts'
import { tcpRouteSpec } from '../fields/tcp-route.ts'
import { tlsRouteSpec } from '../fields/tls-route.ts'
import { age, column, conditionColumn, type Kind } from './kind.ts'

const common = {
  group: gatewayGroup,
  shortNames: [],
  categories: ['gateway-api'],
  namespaced: true,
  name: dnsSubdomain,
  nulls: 'absent',
} as const satisfies Partial<Kind>

const hostnames = column('Hostnames', 'spec.hostnames', 'Host names of the requests.')

export const gatewayClassKind: Kind = {
  ...common,
  kind: 'GatewayClass',
  versions: ['v1', 'v1beta1'],
  plural: 'gatewayclasses',
  singular: 'gatewayclass',
  shortNames: ['gc'],
  namespaced: false,
  body: { spec: gatewayClassSpec },
  status: gatewayClassStatus,
  columns: [
    column('Controller', 'spec.controllerName', 'Controller of the class.'),
    conditionColumn('Accepted', 'Whether the controller takes the class.'),
    age,
    column('Description', 'spec.description', 'What the class is for.', 1),
  ],
}

export const gatewayKind: Kind = {
  ...common,
  kind: 'Gateway',
  versions: ['v1', 'v1beta1'],
  plural: 'gateways',
  singular: 'gateway',
  shortNames: ['gtw'],
  body: { spec: gatewaySpec },
  status: gatewayStatus,
  columns: [
    column('Class', 'spec.gatewayClassName', 'Class of the gateway.'),
    column('Address', 'status.addresses.value', 'Addresses at which it is reached.'),
    conditionColumn('Programmed', 'Whether the proxies have it.'),
    age,
  ],
}

export const httpRouteKind: Kind = {
  ...common,
  kind: 'HTTPRoute',
  versions: ['v1', 'v1beta1'],
  plural: 'httproutes',
  singular: 'httproute',
  body: { spec: httpRouteSpec },
  status: routeStatus,
  columns: [hostnames, age],
}

export const grpcRouteKind: Kind = {
  ...common,
  kind: 'GRPCRoute',
  versions: ['v1'],
  plural: 'grpcroutes',
  singular: 'grpcroute',
  body: { spec: grpcRouteSpec },
  status: routeStatus,
  columns: [hostnames, age],
}

export const tlsRouteKind: Kind = {
  ...common,
  kind: 'TLSRoute',
  versions: ['v1', 'v1alpha3', 'v1alpha2'],
  plural: 'tlsroutes',
  singular: 'tlsroute',
  body: { spec: tlsRouteSpec },
  status: routeStatus,
  columns: [age],
}

export const tcpRouteKind: Kind = {
  ...common,
  kind: 'TCPRoute',
  versions: ['v1', 'v1alpha2'],
  plural: 'tcproutes',
  singular: 'tcproute',
  body: { spec: tcpRouteSpec },
  status: routeStatus,
  columns: [age],
}

export const referenceGrantKind: Kind = {
  ...common,
  kind: 'ReferenceGrant',
  versions: ['v1', 'v1beta1'],
  plural: 'referencegrants',
  singular: 'referencegrant',
  shortNames: ['refgrant'],
  body: { spec: referenceGrantSpec },
  columns: [age],
}

export const gatewayKinds: readonly Kind[] = [
  gatewayClassKind,
  gatewayKind,
  httpRouteKind,
  grpcRouteKind,
  tlsRouteKind,
  tcpRouteKind,
  referenceGrantKind,
]
