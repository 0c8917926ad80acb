// What happens to a connection, and why: computed on a snapshot by the very functions that the proxies run. Pure; control asks it
// on the published model, a daemon on its own.

import type {
  ExplainedPath,
  ExplainLimits,
  ExplainQuestion,
  ExplainStep,
  Explanation,
} from '../../model/explanation.ts'
import { type Snapshot, serviceKey } from '../../model/snapshot.ts'
import type { SocketAddress } from '../../net/address.ts'
import { outboundLimits } from '../outbound.ts'
import { type Destination, describeWorkload, dialsOf, locateDestination, locateSource, type Source } from './locate.ts'
import { identityOf, membersOf, overall, pathsTo } from './paths.ts'
import { routeSteps } from './routes.ts'
import { destinationStep, endpointStep, layer7Step, limitsStep, pathSteps, sourceStep, summaryOf } from './steps.ts'

/**
 * @param limits of the daemon that asks; the defaults elsewhere. Throws RESOURCE_NOT_FOUND (no such name, with those that are
 * near) and RESOURCE_INVALID (ambiguous, or a port is missing).
 */
export function explain(
  snapshot: Snapshot,
  question: ExplainQuestion,
  limits: ExplainLimits = outboundLimits,
): Explanation {
  const source = locateSource(snapshot, question)
  const namespace = source.workload?.namespace ?? question.namespace
  const destination = locateDestination(snapshot, question.destination, namespace)
  const paths = waysOf(snapshot, source, destination)
  const standby = standbyOf(snapshot, source, destination)
  const verdict = overall(paths)
  const request = requestSteps(snapshot, question, source, destination, paths)
  return {
    model: { epoch: snapshot.epoch, version: snapshot.version },
    verdict,
    summary: summaryOf(question, verdict, paths, request),
    source: describeSource(question.source, source),
    destination: describeDestination(question.destination, destination),
    steps: [
      sourceStep(question.source, source),
      destinationStep(question.destination, destination, source),
      ...endpointStep(destination, paths, standby, source),
      ...pathSteps(paths),
      ...request,
      limitsStep(limits),
    ],
    paths,
    standby,
    limits: pickLimits(limits),
  }
}

/** What becomes of the request itself: at a waypoint its routes say, elsewhere nobody reads it. */
function requestSteps(
  snapshot: Snapshot,
  question: ExplainQuestion,
  { workload }: Source,
  { service, port }: Destination,
  paths: readonly ExplainedPath[],
): readonly ExplainStep[] {
  const passes = paths.some(({ waypoint }) => waypoint?.outcome === 'passed')
  if (!passes || service === undefined) return layer7Step(question, paths)
  return routeSteps(snapshot, { service, port, source: workload }, question)
}

function pickLimits({ establishTimeoutMs, connectTimeoutMs, maxEndpoints, patienceMs }: ExplainLimits): ExplainLimits {
  return { establishTimeoutMs, connectTimeoutMs, maxEndpoints, patienceMs }
}

function waysOf(snapshot: Snapshot, source: Source, destination: Destination): readonly ExplainedPath[] {
  if (destination.kind === 'name') return [elsewhere(source, destination)]
  const dials = dialsOf(source, destination)
  const paths = dials.flatMap((dial) => pathsTo(snapshot, source, dial))
  return paths.length > 0 ? paths : [nowhere(destination)]
}

/** A name that somebody else resolves. */
function elsewhere({ capture }: Source, { port, namespaceWithout }: Destination): ExplainedPath {
  const captured = capture === 'captured' || capture === 'leaving'
  const none = namespaceWithout === undefined ? '' : `namespace ${namespaceWithout} has no service of this name; `
  const because = `${none}what the name resolves to is not known here; explain the address for a verdict that is certain`
  const transportBecause = captured ? 'unless the address is one of the mesh' : 'the source is not captured'
  const verdict = captured ? 'allowed' : 'not-captured'
  const place = `?:${port}`
  return { dial: place, target: place, share: 1, verdict, because, transport: 'plaintext', transportBecause }
}

/** A name of the mesh without an address. */
function nowhere({ service, workload, port }: Destination): ExplainedPath {
  const because =
    service === undefined
      ? 'the workload has no address'
      : `${service.hostname} has no address: ${service.headless ? 'no endpoint serves' : 'it has no virtual IP'}`
  const about = {
    ...(service === undefined ? {} : { service: serviceKey(service) }),
    ...(workload === undefined ? {} : { workload: describeWorkload(workload) }),
  }
  const fields = {
    verdict: 'unreachable',
    because,
    code: 'NO_ENDPOINT',
    transport: 'none',
    transportBecause: because,
  } as const
  return { dial: `?:${port}`, target: `?:${port}`, share: 1, ...fields, ...about }
}

/** Members of the service that get nothing, each once. */
function standbyOf(snapshot: Snapshot, source: Source, destination: Destination): Explanation['standby'] {
  const { service } = destination
  if (service === undefined) return []
  if (service.headless) {
    const idle = snapshot.endpointsOf(serviceKey(service)).filter(({ health }) => health !== 'healthy')
    return idle.map((workload) => ({ workload: describeWorkload(workload), because: 'it is not healthy' }))
  }
  const [dial] = dialsOf(source, destination) as readonly (SocketAddress | undefined)[]
  if (dial === undefined) return []
  const { without } = membersOf(snapshot, service, dial)
  return without.map(({ workload, because }) => ({ workload: describeWorkload(workload), because }))
}

function describeSource(text: string, source: Source): Explanation['source'] {
  const { workload, addresses, capture } = source
  const identity = identityOf(source)
  return {
    text,
    capture,
    addresses,
    ...(workload === undefined ? {} : { workload: describeWorkload(workload) }),
    ...(identity === undefined ? {} : { identity }),
  }
}

function describeDestination(text: string, destination: Destination): Explanation['destination'] {
  const { kind, port, addresses, service } = destination
  return { text, kind, port, addresses, ...(service === undefined ? {} : { service: serviceKey(service) }) }
}
