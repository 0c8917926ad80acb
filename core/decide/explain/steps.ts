// An explanation as a list of steps for people: what was asked, what came out, because of what.
import type {
  ExplainedPath,
  ExplainLimits,
  ExplainQuestion,
  ExplainStep,
  Explanation,
} from '../../model/explanation.ts'
import type { Destination, Source } from './locate.ts'
import { identityOf } from './paths.ts'

export function sourceStep(text: string, source: Source): ExplainStep {
  const { workload, capture } = source
  if (workload === undefined) {
    return { what: 'source', outcome: `${text} is outside the mesh`, because: 'no workload has this address' }
  }
  const name = `${workload.namespace}/${workload.name}`
  const host = workload.node === '' ? '' : ` on ${workload.node}`
  if (capture === 'captured') {
    return { what: 'source', outcome: `${name} is captured${host}`, because: `it presents ${identityOf(source)}` }
  }
  if (capture === 'waypoint') {
    return { what: 'source', outcome: `${name} is a waypoint${host}`, because: `it presents ${identityOf(source)}` }
  }
  const why = {
    pending: 'it is enrolled, but its agent has not reported that it is captured: see `culvert workloads`',
    leaving: 'it is not enrolled any more; until its agent has let it go its traffic still passes the proxy',
    outside: 'neither it nor its namespace carries the label culvert.dev/dataplane-mode: ambient, or it opted out',
    unknown: 'no workload has this address',
  } as const
  const outcome = capture === 'leaving' ? `${name} is still captured${host}` : `${name} is not captured${host}`
  return { what: 'source', outcome, because: why[capture] }
}

export function destinationStep(text: string, destination: Destination, source: Source): ExplainStep {
  const { kind, service, workload, addresses, port } = destination
  const what = 'destination'
  if (kind === 'name') {
    const { namespaceWithout } = destination
    const none = namespaceWithout === undefined ? '' : `: namespace ${namespaceWithout} has no such service`
    const because = `it is no name of the mesh${none}: the resolver of the workload answers, and what it answers is not known here`
    return { what, outcome: `${text} is a name outside the mesh`, because }
  }
  const shown = addresses.length === 0 ? 'nothing' : addresses.join(', ')
  if (service !== undefined) {
    const headless = service.headless ? ' (headless: its name stands for the endpoints)' : ''
    const outcome = `service ${service.namespace}/${service.name} port ${port} at ${shown}${headless}`
    const asked = source.capture === 'captured' || source.capture === 'leaving'
    const byName = asked ? `${service.hostname} resolves to it` : 'the DNS of the mesh answers captured workloads only'
    return { what, outcome, because: kind === 'address' ? 'it is a virtual IP of the service' : byName }
  }
  if (workload !== undefined) {
    const because = kind === 'address' ? 'the workload has this address' : 'it is named directly, past any service'
    return { what, outcome: `workload ${workload.namespace}/${workload.name} port ${port} at ${shown}`, because }
  }
  return { what, outcome: `${shown} port ${port}`, because: 'the mesh knows neither a workload nor a service there' }
}

/** Steps that differ between the ways are told for each kind of them. */
export function pathSteps(paths: readonly ExplainedPath[]): readonly ExplainStep[] {
  const parts = [
    waypointOf,
    waypointIdentitiesOf,
    transportOf,
    identitiesOf,
    peerAuthenticationOf,
    authorizationOf,
    dryRunOf,
    refusedOf,
  ]
  return parts.flatMap((part) => {
    const groups = Map.groupBy(paths, (path) => JSON.stringify(part(path, [])))
    return [...groups.values()].flatMap((group) => {
      const step = part(group[0]!, group)
      if (step === undefined) return []
      if (group.length === paths.length) return [step]
      return [{ ...step, targets: [...new Set(group.map(({ target }) => target))] }]
    })
  })
}

const waypointWords = {
  passed: 'is passed',
  'gone-around': 'is gone around',
  unreachable: 'cannot be reached: the connection is refused',
} as const

function waypointOf({ transport, code, waypoint }: ExplainedPath): ExplainStep | undefined {
  if (waypoint !== undefined) {
    const { outcome, instances, because } = waypoint
    const peers = instances.map(({ peer }) => peer)
    const where = peers.length === 0 ? '' : `, at ${peers.slice(0, 3).join(' or ')}`
    const more = peers.length > 3 ? ` or ${peers.length - 3} more` : ''
    const text = `${waypoint.waypoint} ${waypointWords[outcome]}${where}${more}`
    return { what: 'waypoint', outcome: text, because, ...(outcome === 'unreachable' ? { passed: false } : {}) }
  }
  if (transport === 'none' || transport === 'loopback' || code === 'NO_ENDPOINT') return undefined
  return { what: 'waypoint', outcome: 'none', because: 'none stands there: the connection stays at layer 4' }
}

function waypointIdentitiesOf({ waypoint }: ExplainedPath): ExplainStep | undefined {
  if (waypoint?.identities === undefined) return undefined
  const { source, destination } = waypoint.identities
  const outcome = `expects ${destination.join(' or ')}`
  return { what: 'mutual TLS to the waypoint', outcome, because: `presents ${source}` }
}

function transportOf(
  { transport, transportBecause, waypoint }: ExplainedPath,
  alike: readonly ExplainedPath[],
): ExplainStep | undefined {
  if (transport === 'none') return undefined
  const peers = new Set(alike.map(({ peer }) => peer))
  const [peer] = peers
  const tunnel = peers.size === 1 ? `HBONE tunnel to ${peer}` : `HBONE tunnel to one of ${peers.size} addresses`
  const words = { tunnel, plaintext: 'plaintext', loopback: 'loopback' } as const
  const from = waypoint?.outcome === 'passed' ? 'from the waypoint: ' : ''
  return { what: 'transport', outcome: `${from}${words[transport]}`, because: transportBecause }
}

function identitiesOf({ identities }: ExplainedPath): ExplainStep | undefined {
  if (identities === undefined) return undefined
  const { source, destination } = identities
  return { what: 'mutual TLS', outcome: `expects ${destination.join(' or ')}`, because: `presents ${source}` }
}

function peerAuthenticationOf({ peerAuthentication, transport }: ExplainedPath): ExplainStep | undefined {
  if (peerAuthentication === undefined) return undefined
  const { mode, source } = peerAuthentication
  const because = source === undefined ? 'no PeerAuthentication is about it' : `PeerAuthentication ${source}`
  const passed = mode === 'PERMISSIVE' || transport === 'tunnel'
  return { what: 'peer authentication', outcome: mode, because, passed }
}

function authorizationOf({ authorization, transport, verdict }: ExplainedPath): ExplainStep | undefined {
  if (authorization === undefined) {
    if (transport !== 'plaintext' || verdict === 'unreachable') return undefined
    return { what: 'authorization', outcome: 'not asked', because: 'no proxy stands before the destination' }
  }
  const { allowed, policy, because } = authorization
  const by = policy === undefined ? '' : ` by ${policy}`
  return { what: 'authorization', outcome: `${allowed ? 'allowed' : 'denied'}${by}`, because, passed: allowed }
}

function dryRunOf({ authorization }: ExplainedPath): ExplainStep | undefined {
  if (authorization?.dryRun === undefined) return undefined
  return { what: 'dry run', outcome: authorization.dryRun, because: 'a dry-run policy would change the verdict' }
}

function refusedOf({ verdict, because, code }: ExplainedPath): ExplainStep | undefined {
  if (verdict !== 'unreachable') return undefined
  return { what: 'refused', outcome: code ?? 'unreachable', because, passed: false }
}

export function limitsStep({ establishTimeoutMs, connectTimeoutMs, maxEndpoints }: ExplainLimits): ExplainStep {
  const outcome = `connected within ${establishTimeoutMs / 1000} s, the application within ${connectTimeoutMs / 1000} s`
  const because = `up to ${maxEndpoints} endpoints are tried where one fails before the first byte; a denial is not retried`
  return { what: 'timeouts and retries', outcome, because }
}

/** What was said of the request itself, which only a waypoint reads. */
export function layer7Step(
  { method, path, headers = {} }: ExplainQuestion,
  paths: readonly ExplainedPath[],
): readonly ExplainStep[] {
  const said = [method, path, ...Object.keys(headers)].filter((part) => part !== undefined)
  if (said.length === 0) return []
  const [waypoint] = paths.flatMap(({ waypoint: each }) => (each?.outcome === 'passed' ? [each.waypoint] : []))
  if (waypoint !== undefined) {
    const because = 'the waypoint reads it, and its routes say where it goes on to'
    return [{ what: 'layer 7', outcome: `${said.join(' ')}: left to waypoint ${waypoint}`, because }]
  }
  const because = 'reading requests needs a waypoint, and none is passed: a policy about them fails closed'
  return [{ what: 'layer 7', outcome: `${said.join(' ')}: not evaluated`, because }]
}

export function endpointStep(
  { service }: Destination,
  paths: readonly ExplainedPath[],
  standby: Explanation['standby'],
  source: Source,
): readonly ExplainStep[] {
  // a waypoint that cannot be reached has the connection refused before an endpoint is chosen
  if (service === undefined || paths.every(({ waypoint }) => waypoint?.outcome === 'unreachable')) return []
  const serving = new Set(paths.flatMap(({ workload }) => workload?.uid ?? []))
  const of = serving.size + standby.length
  // who is not captured never gets as far as the endpoints of a virtual IP
  const chooses = source.capture === 'captured' || source.capture === 'leaving'
  if (of === 0 && !chooses) return []
  const names = [...new Set(paths.flatMap(({ workload }) => workload?.name ?? []))]
  const because = [...names.slice(0, 5), ...(names.length > 5 ? [`and ${names.length - 5} more`] : [])].join(', ')
  const reasons = standby.slice(0, 3).map(({ workload, because: why }) => `${workload.name}: ${why}`)
  const text = [because, ...reasons].filter((part) => part !== '').join('; ')
  const outcome = `${serving.size} of ${of} serve`
  return [{ what: 'endpoints', outcome, because: text || 'no workload is selected', passed: serving.size > 0 }]
}

const words = {
  allowed: 'is allowed',
  denied: 'is denied',
  unreachable: 'leads nowhere',
  'not-captured': 'does not pass the mesh',
  mixed: 'depends on the endpoint',
} as const

export function summaryOf(
  question: ExplainQuestion,
  verdict: Explanation['verdict'],
  paths: readonly ExplainedPath[],
  request: readonly ExplainStep[],
): string {
  const reasons = [...new Set(paths.map(({ because }) => because))]
  const why = reasons.length === 1 ? `: ${reasons[0]}` : ''
  // the verdict is about the connection: whoever may connect may still ask for what no route takes
  const lost = request.find(({ what, passed }) => what === 'route' && passed === false)
  const but = lost === undefined || verdict !== 'allowed' ? '' : `; but the waypoint answers itself, ${lost.outcome}`
  return `${question.source} to ${question.destination} ${words[verdict]}${why}${but}`
}
