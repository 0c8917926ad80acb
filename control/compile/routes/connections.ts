// Rules for connections that are not HTTP, compiled: of TCPRoute and TLSRoute, and `tcp` and `tls` of a VirtualService.
import type { TcpRouteSpec } from '../../../core/model/fields/tcp-route.ts'
import type { TlsRouteSpec } from '../../../core/model/fields/tls-route.ts'
import type { VirtualServiceSpec } from '../../../core/model/fields/virtual-service.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import type { Backend, ConnectionMatch, ConnectionRoute } from '../../../core/model/routes.ts'
import { type GatewayContext, gatewayBackend } from './gateway-backends.ts'

/** Rules of a TCPRoute or TLSRoute. */
export function gatewayConnections(object: MeshObject, context: GatewayContext): readonly ConnectionRoute[] {
  const { namespace = '', name } = object.metadata
  const { rules = [], hostnames = [] } = (object.spec ?? {}) as Partial<TcpRouteSpec & TlsRouteSpec>
  const kind = object.kind === 'TLSRoute' ? 'TLSRoute' : 'TCPRoute'
  const names = [...new Set(hostnames.map((host) => host.toLowerCase()))]
  return rules.map((rule, index) => ({
    origin: { kind, namespace, name, index, ...(rule.name === undefined ? {} : { rule: rule.name }) },
    matches: kind === 'TLSRoute' ? [{ serverNames: names.length === 0 ? ['*'] : names }] : [],
    destinations: rule.backendRefs.map((reference, place) => ({
      weight: reference.weight ?? 1,
      backend: gatewayBackend(reference, context, `rules[${index}].backendRefs[${place}]`),
    })),
  }))
}

/** The most specific server name first, however the routes stand: exact, then the longest wildcard; then the older route. */
export function byServerName(routes: readonly ConnectionRoute[]): readonly ConnectionRoute[] {
  const single = routes.flatMap((route) =>
    route.matches.flatMap(({ serverNames = [] }) =>
      serverNames.map((name) => ({ ...route, matches: [{ serverNames: [name] }] })),
    ),
  )
  const lengthOf = ({ matches }: ConnectionRoute): number => {
    const name = matches[0]?.serverNames?.[0] ?? '*'
    return name.startsWith('*') ? name.length : 1000
  }
  return single.toSorted((a, b) => lengthOf(b) - lengthOf(a))
}

type Written = NonNullable<VirtualServiceSpec['tcp']>[number] | NonNullable<VirtualServiceSpec['tls']>[number]
type WrittenMatch = NonNullable<NonNullable<VirtualServiceSpec['tcp']>[number]['match']>[number] &
  Partial<NonNullable<NonNullable<VirtualServiceSpec['tls']>[number]['match']>[number]>
type WrittenDestination = NonNullable<NonNullable<Written['route']>[number]['destination']>

/** Undefined where the object says nothing of connections. TLS rules come first, as in istiod's filter chains. */
export function virtualConnections(
  object: MeshObject,
  backend: (destination: WrittenDestination, where: string) => Backend,
): readonly ConnectionRoute[] | undefined {
  const { tls = [], tcp = [] } = (object.spec ?? {}) as VirtualServiceSpec
  if (tls.length + tcp.length === 0) return undefined
  const rules = (list: readonly Written[], kind: string): readonly ConnectionRoute[] =>
    list.flatMap((rule, index) => connectionOf(object, rule, index, `${kind}[${index}]`, backend) ?? [])
  return [...rules(tls, 'tls'), ...rules(tcp, 'tcp')]
}

function connectionOf(
  object: MeshObject,
  rule: Written,
  index: number,
  where: string,
  backend: (destination: WrittenDestination, where: string) => Backend,
): ConnectionRoute | undefined {
  const { namespace = '', name } = object.metadata
  const written = (rule.match ?? []) as readonly WrittenMatch[]
  const inMesh = written.filter(({ gateways = [] }) => gateways.length === 0 || gateways.includes('mesh'))
  // all for gateways that are not served: the rule must not become one for everything
  if (written.length > 0 && inMesh.length === 0) return undefined
  const route = rule.route ?? []
  return {
    origin: { kind: 'VirtualService', namespace, name, index, rule: where },
    matches: inMesh.map(matchOf),
    destinations: route.map((entry, place) => ({
      weight: route.length === 1 ? 1 : (entry.weight ?? 0),
      backend: backend(entry.destination, `${where}.route[${place}]`),
    })),
  }
}

function matchOf(written: WrittenMatch): ConnectionMatch {
  const {
    sniHosts = [],
    destinationSubnets = [],
    port,
    sourceLabels = {},
    sourceNamespace = '',
    sourceSubnet = '',
  } = written
  return {
    ...(sniHosts.length === 0 ? {} : { serverNames: sniHosts.map((host) => host.toLowerCase()) }),
    ...(destinationSubnets.length === 0 ? {} : { destinationBlocks: destinationSubnets }),
    ...(sourceSubnet === '' ? {} : { sourceBlocks: [sourceSubnet] }),
    ...(port === undefined ? {} : { port }),
    ...(sourceNamespace === '' ? {} : { sourceNamespace }),
    ...(Object.keys(sourceLabels).length === 0 ? {} : { sourceLabels }),
  }
}
