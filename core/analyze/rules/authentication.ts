// PeerAuthentication and RequestAuthentication: do they hold for anybody, do they quarrel, is a token really required.
import { istioNetworking } from '../inventory.ts'
import type { Rule, RuleContext } from '../rule.ts'
import { fields, items, labelsOf, labelText, list, namespaceOf, number, specOf, text } from '../values.ts'
import { checkTargets } from './policy-targets.ts'
import { checkSelector } from './references.ts'

const security = 'security.istio.io'

function selectorOf(spec: unknown): Readonly<Record<string, string>> {
  return labelsOf(fields(fields(spec)['selector'])['matchLabels'])
}

const place: Rule = (context) => {
  const { object, inventory } = context
  const namespace = inventory.isRoot(namespaceOf(object)) ? undefined : namespaceOf(object)
  checkSelector(context, namespace, selectorOf(object.spec), ['spec', 'selector', 'matchLabels'])
  checkTargets(context)
}

/** Of two for the same workloads only the older one counts. */
const onlyOne: Rule = ({ object, inventory, report }) => {
  const own = labelText(selectorOf(object.spec))
  const other = inventory
    .objects('PeerAuthentication', security, namespaceOf(object))
    .find(
      (candidate) => candidate.metadata.name !== object.metadata.name && labelText(selectorOf(candidate.spec)) === own,
    )
  if (other === undefined) return
  const what = own === '' ? `namespace ${namespaceOf(object)}` : `the workloads with ${own}`
  report(
    'PolicyConflict',
    own === '' ? ['metadata', 'name'] : ['spec', 'selector'],
    `PeerAuthentication ${namespaceOf(other)}/${other.metadata.name} is for ${what} too: only the older one counts`,
    'keep one of them',
  )
}

/** The exceptions of portLevelMtls are ports of the workloads, not of the service. */
const portLevels: Rule = ({ object, inventory, report }) => {
  const namespace = namespaceOf(object)
  const selector = selectorOf(object.spec)
  const ports = Object.keys(fields(specOf(object)['portLevelMtls']))
  if (ports.length === 0) return
  for (const service of inventory.objects('Service', '', namespace)) {
    const behind = labelsOf(specOf(service)['selector'])
    const same =
      Object.entries(behind).length > 0 && Object.entries(behind).every(([name, value]) => selector[name] === value)
    if (!same) continue
    for (const { value } of items(specOf(service)['ports'], [])) {
      const [port, target] = [number(value['port']), number(value['targetPort'])]
      if (port === undefined || target === undefined || port === target || !ports.includes(String(port))) continue
      if (ports.includes(String(target))) continue
      report(
        'PortNotFound',
        ['spec', 'portLevelMtls', String(port)],
        `${port} is the port of the service ${service.metadata.name}; the workloads listen on ${target}`,
        `write ${target}`,
      )
    }
  }
}

/** A DestinationRule that switches TLS off cannot reach what takes TLS only. */
const strictAgainstRules: Rule = ({ object, inventory, report }) => {
  if (text(fields(specOf(object)['mtls'])['mode']) !== 'STRICT') return
  const namespace = namespaceOf(object)
  for (const rule of inventory.objects('DestinationRule', istioNetworking)) {
    const spec = specOf(rule)
    if (text(fields(fields(spec['trafficPolicy'])['tls'])['mode']) !== 'DISABLE') continue
    const host = inventory.host(inventory.qualify(text(spec['host']) ?? '', namespaceOf(rule)))
    if (host === undefined || (namespaceOf(host.object) !== namespace && !inventory.isRoot(namespace))) continue
    report(
      'MutualTlsConflict',
      ['spec', 'mtls', 'mode'],
      `STRICT refuses plaintext, but DestinationRule ${namespaceOf(rule)}/${rule.metadata.name} asks for it to ${host.host}`,
      'remove tls from the DestinationRule',
    )
  }
}

/** Without a policy that asks for a principal, whoever brings no token at all gets through. */
const tokenRequired: Rule = ({ object, inventory, report }: RuleContext) => {
  const namespaces = [namespaceOf(object), ...inventory.settings.rootNamespaces]
  const policies = namespaces.flatMap((namespace) => inventory.objects('AuthorizationPolicy', security, namespace))
  if (policies.some((policy) => asksForToken(policy.spec))) return
  report(
    'TokenNotRequired',
    ['spec', list(specOf(object)['jwtRules']).length > 0 ? 'jwtRules' : 'selector'],
    'a wrong token is refused, but a request without any token passes: no AuthorizationPolicy here asks for one',
    'add an AuthorizationPolicy with from.source.requestPrincipals: ["*"] for the same workloads',
  )
}

function asksForToken(spec: unknown): boolean {
  return items(fields(spec)['rules'], []).some(({ value }) => {
    const inSources = items(value['from'], []).some(({ value: from }) => {
      const source = fields(from['source'])
      return source['requestPrincipals'] !== undefined || source['notRequestPrincipals'] !== undefined
    })
    return (
      inSources ||
      items(value['when'], []).some(({ value: when }) => text(when['key'])?.startsWith('request.auth.') === true)
    )
  })
}

export const peerAuthenticationRules: readonly Rule[] = [place, onlyOne, portLevels, strictAgainstRules]
export const requestAuthenticationRules: readonly Rule[] = [place, tokenRequired]
/** Telemetry, and whatever else selects workloads or targets objects and nothing more. */
export const placedRules: readonly Rule[] = [place]
