// VirtualService (networking.istio.io): how requests and connections to hosts are routed. The rules in the single object are those
// of Istio's admission; what needs other objects (does the host exist, the subset) is analyze's.
import { destination, weight, weightsCount } from './destination.ts'
import { asWhole, enforced, type ObjectCheck, type ObjectField, type ValueOf } from './field.ts'
import { exportToFits, hostWithin, visibility, wildcardHostOrAddress } from './hosts.ts'
import { texts } from './parts.ts'
import { httpRule } from './virtual-service-http.ts'
import { gatewayName, tcpMatch, tlsMatch } from './virtual-service-match.ts'

const route = {
  type: 'list',
  text: 'Where connections go, with weights.',
  use: asWhole,
  item: {
    type: 'object',
    text: 'One destination.',
    use: asWhole,
    fields: { destination: { ...destination, required: true }, weight },
  },
} as const

const routeNeeded: ObjectCheck = (rule, report) => {
  if (((rule['route'] as readonly unknown[] | undefined)?.length ?? 0) === 0) {
    report(['route'], 'is required: name at least one destination', 'required')
  }
}

type Spec = Readonly<Record<string, unknown>>

interface TlsRule {
  readonly match: readonly { readonly sniHosts: readonly string[] }[]
}

function listOf<Item>(spec: Spec, name: string): readonly Item[] {
  return (spec[name] as readonly Item[] | undefined) ?? []
}

const rulesNeeded: ObjectCheck = (spec, report) => {
  if (['http', 'tls', 'tcp'].every((name) => listOf(spec, name).length === 0)) {
    report([], 'has no rules: set one of http, tls, tcp', 'required')
  }
}

/** Istio's rules for a VirtualService without hosts, whose rules others delegate to. */
const delegateFits: ObjectCheck = (spec, report) => {
  if (listOf(spec, 'hosts').length > 0) return
  for (const name of ['gateways', 'tls', 'tcp']) {
    if (listOf(spec, name).length > 0) {
      report([name], 'needs hosts: without hosts others delegate to this object, which may have http only')
    }
  }
  for (const [index, rule] of listOf<Spec>(spec, 'http').entries()) {
    if (rule['delegate'] === undefined) continue
    report(['http', index, 'delegate'], 'needs hosts: what others delegate to cannot delegate further')
  }
}

const hostsFit: ObjectCheck = (spec, report) => {
  const hosts = listOf<string>(spec, 'hosts')
  const gateways = listOf<string>(spec, 'gateways')
  const forMesh = gateways.length === 0 || gateways.includes('mesh')
  for (const [index, host] of hosts.entries()) {
    if (host === '*' && forMesh) {
      report(['hosts', index], '"*" stands for every host of the mesh, which is not allowed: name hosts or "*.domain"')
    }
    const other = hosts.slice(0, index).find((first) => hostWithin(host, first) || hostWithin(first, host))
    if (other !== undefined) {
      report(['hosts', index], `"${host}" and "${other}" stand for the same hosts: keep one of them`, 'duplicate')
    }
  }
}

const sniHostsFit: ObjectCheck = (spec, report) => {
  const hosts = listOf<string>(spec, 'hosts')
  // said already
  if (hosts.length === 0) return
  for (const [index, rule] of listOf<TlsRule>(spec, 'tls').entries()) {
    for (const [place, { sniHosts }] of rule.match.entries()) {
      for (const [item, sniHost] of sniHosts.entries()) {
        if (hosts.some((host) => hostWithin(sniHost, host))) continue
        const at = ['tls', index, 'match', place, 'sniHosts', item]
        report(at, `"${sniHost}" is within none of the hosts ${hosts.join(', ')}: add it to hosts`)
      }
    }
  }
}

const otherGateways = (value: unknown): string | undefined => {
  const names = (value as readonly string[]).filter((name) => name !== 'mesh')
  if (names.length === 0) return undefined
  return `${names.join(', ')}: gateways of networking.istio.io are not served, the rules do not apply to their traffic`
}

export const virtualServiceSpec = {
  type: 'object',
  text: 'How requests and connections to hosts are routed.',
  use: asWhole,
  checks: [rulesNeeded, delegateFits, hostsFit, sniHostsFit, exportToFits],
  fields: {
    hosts: texts(
      'Hosts that the rules are for; without any, other VirtualServices may delegate here.',
      wildcardHostOrAddress,
    ),
    gateways: {
      ...texts('Gateways whose traffic the rules are for; mesh where absent.', gatewayName),
      use: { kind: 'enforced', where: 'as the whole', except: otherGateways },
    },
    exportTo: {
      ...texts('Namespaces whose workloads the rules are for; all where absent.', visibility),
      use: enforced('waypoint: routes, by the namespace of the caller'),
    },
    http: {
      type: 'list',
      text: 'Rules for HTTP requests, of which the first that matches counts.',
      use: enforced('waypoint: routes'),
      item: httpRule,
    },
    tls: {
      type: 'list',
      text: 'Rules for TLS connections by server name, of which the first that matches counts.',
      use: enforced('waypoint: connections, by their server name'),
      item: {
        type: 'object',
        text: 'One rule.',
        use: asWhole,
        checks: [routeNeeded, weightsCount],
        fields: {
          match: {
            type: 'list',
            text: 'Matches, of which one is enough.',
            use: asWhole,
            required: true,
            minItems: 1,
            item: tlsMatch,
          },
          route,
        },
      },
    },
    tcp: {
      type: 'list',
      text: 'Rules for connections, of which the first that matches counts.',
      use: enforced('waypoint: connections'),
      item: {
        type: 'object',
        text: 'One rule.',
        use: asWhole,
        checks: [routeNeeded, weightsCount],
        fields: {
          match: {
            type: 'list',
            text: 'Matches, of which one is enough; everything where absent.',
            use: asWhole,
            item: tcpMatch,
          },
          route,
        },
      },
    },
  },
} as const satisfies ObjectField

export type VirtualServiceSpec = ValueOf<typeof virtualServiceSpec>
