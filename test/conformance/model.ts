// A case judged on the decision alone: its resources through control/compile, its requests through core/decide/http. No
// sockets, no proxy; what only a proxy does (`onWire`) is judged by where the request would go.
import { isDeepStrictEqual } from 'node:util'
import { type Compiled, compile } from '../../control/compile/compile.ts'
import type { CompileSettings } from '../../control/compile/settings.ts'
import { changeHeaders } from '../../core/decide/http/headers.ts'
import type { RoutedRequest } from '../../core/decide/http/request.ts'
import { compileRouting, type Forward, type RouteDecision, routeRequest } from '../../core/decide/http/route-request.ts'
import { parseManifests } from '../../core/model/manifest.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { HeaderChanges, RouteTable } from '../../core/model/routes.ts'
import { instances, services } from './base.ts'
import { type CaseRequest, type ConformanceCase, frontendOf, titleOf } from './case.ts'
import { type Observed, problemsOf, shareProblems } from './compare.ts'

const draws = 1_000

/** `title: problem`; empty where the case passes. */
export function judgeByModel(test: ConformanceCase, settings: CompileSettings): readonly string[] {
  const objects = [...parse(services), ...parse(test.resources)].map(created)
  const compiled = compile(objects, settings)
  const tables = compiled.resources.flatMap(({ kind, value }) => (kind === 'Routes' ? [value] : []))
  const requests = test.requests.flatMap((request) =>
    requestProblems(request, tables).map((problem) => `${titleOf(request)}: ${problem}`),
  )
  return [...statusProblems(test, objects, compiled), ...requests]
}

function parse(manifests: string): readonly MeshObject[] {
  const { objects, problems } = parseManifests(manifests, 'case.yaml')
  if (problems.length > 0) throw new Error(JSON.stringify(problems))
  return objects.map(({ object }) => object)
}

/** The store gives each object its time; those of one case are of the same second. */
function created(object: MeshObject): MeshObject {
  const { namespace = 'conformance' } = object.metadata
  return { ...object, metadata: { creationTimestamp: '2026-01-01T00:00:00Z', ...object.metadata, namespace } }
}

function statusProblems(
  { routes = [] }: ConformanceCase,
  objects: readonly MeshObject[],
  { conditions }: Compiled,
): readonly string[] {
  const written = objects.filter(({ kind }) => kind.endsWith('Route')).map(({ metadata }) => metadata.name)
  return written.flatMap((name) => {
    const expected = routes.find((route) => route.name === name)
    const ofRoute = [...conditions].filter(([key]) => key.endsWith(`/${name}`) && !key.startsWith('Service '))
    const said = ofRoute.flatMap(([, list]) => list)
    const reasons = (type: string) =>
      said.filter((each) => each.type === type && each.status === 'False').map(({ reason }) => reason)
    const wanted = [[expected?.notAccepted ?? []].flat(), [expected?.unresolved ?? []].flat()]
    const found = [[...new Set(reasons('Accepted'))], [...new Set(reasons('ResolvedRefs'))]]
    if (isDeepStrictEqual(found, wanted)) return []
    return [
      `${name}: Accepted and ResolvedRefs are false for ${JSON.stringify(found)}, expected ${JSON.stringify(wanted)}`,
    ]
  })
}

function requestProblems(request: CaseRequest, tables: readonly RouteTable[]): readonly string[] {
  const { expect, path = '/' } = request
  // to the address of a workload no service's routes apply
  if (request.to?.startsWith('pod ')) return []
  const decide = deciderOf(request, tables)
  if (expect.shares !== undefined) {
    const counts: Record<string, number> = {}
    for (let draw = 0; draw < draws; draw++) {
      const key = goalOf(request, decide(draw / draws))
      counts[key] = (counts[key] ?? 0) + 1
    }
    return shareProblems(expect.shares, counts, draws)
  }
  const decision = decide(0)
  if (request.onWire === true) return aimProblems(request, decision)
  return problemsOf(request, path, observedBy(request, decision))
}

function deciderOf(request: CaseRequest, tables: readonly RouteTable[]): (random: number) => RouteDecision {
  const { name, namespace, port } = frontendOf(request)
  const service = `${namespace}/${name}.${namespace}.svc.cluster.local`
  const table = tables.find((each) => each.service === service && each.port === port)
  const asked = routedRequest(request, port)
  if (table === undefined) return () => ({ kind: 'unrouted' })
  const routing = compileRouting(table)
  return (random) => routeRequest(routing, asked, random)
}

function routedRequest(request: CaseRequest, port: number): RoutedRequest {
  const { method = request.protocol === 'grpc' ? 'POST' : 'GET', path = '/', to = 'echo', headers = {} } = request
  const fields = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const mark = path.indexOf('?')
  return {
    method,
    scheme: 'http',
    authority: fields.get('host') ?? to,
    path: mark < 0 ? path : path.slice(0, mark),
    query: mark < 0 ? undefined : path.slice(mark + 1),
    port,
    sourceNamespace: request.from ?? 'conformance',
    header: (name) => fields.get(name),
  }
}

/** The instance that a decision leads to, where there is one; otherwise the status. */
function goalOf(request: CaseRequest, decision: RouteDecision): string {
  if (decision.kind === 'respond' || decision.kind === 'redirect') return `status ${decision.status}`
  const [instance, ...others] = instancesFor(request, decision)
  return others.length === 0 ? (instance ?? 'nobody') : 'any'
}

function instancesFor(request: CaseRequest, decision: RouteDecision): readonly string[] {
  const { name } = frontendOf(request)
  const service = decision.kind === 'forward' ? decision.destination.backend.hostname.split('.')[0]! : name
  return instances[service] ?? []
}

function aimProblems(request: CaseRequest, decision: RouteDecision): readonly string[] {
  const { backend, mirrored = {}, attempts = {} } = request.expect
  const goal = goalOf(request, decision)
  const wanted = backend ?? Object.keys(attempts)[0]
  const aim = wanted === undefined || wanted === goal ? [] : [`leads to ${goal}, expected ${wanted}`]
  if (decision.kind !== 'forward') return [...aim, ...(goal.startsWith('status') ? [`answered with ${goal}`] : [])]
  const mirrors = decision.mirrors.map(({ backend, share }) => {
    const service = backend.kind === 'service' ? backend.hostname.split('.')[0]! : 'invalid'
    return [instances[service]?.[0] ?? service, share * 100] as const
  })
  const same = isDeepStrictEqual(Object.fromEntries(mirrors), mirrored)
  return same ? aim : [...aim, `mirrors are ${JSON.stringify(mirrors)}, expected ${JSON.stringify(mirrored)}`]
}

function observedBy(request: CaseRequest, decision: RouteDecision): Observed {
  const none = { response: () => undefined }
  if (decision.kind === 'respond') return { ...none, status: decision.status, grpcStatus: decision.grpcStatus }
  if (decision.kind === 'redirect') {
    const { status, location } = decision
    return { status, response: (name) => (name === 'location' ? location : undefined) }
  }
  const [instance = 'nobody'] = instancesFor(request, decision)
  const forward = decision.kind === 'forward' ? decision : undefined
  const headers = changed(sentBy(request), forward, 'request')
  const answered = changed(answeredTo(request), forward, 'response')
  const backend = {
    pod:
      request.expect.backend !== undefined && instancesFor(request, decision).includes(request.expect.backend)
        ? request.expect.backend
        : instance,
    namespace: 'conformance',
    headers: byName(headers),
    ...pathOf(request, forward),
    ...(forward?.host === undefined ? {} : { host: forward.host }),
  }
  return { status: 200, grpcStatus: 0, backend, response: (name) => byName(answered)[name.toLowerCase()] }
}

function pathOf({ path = '/' }: CaseRequest, forward: Forward | undefined): { readonly path: string } {
  if (forward?.rewritePath === undefined) return { path }
  const mark = path.indexOf('?')
  const rewritten = forward.rewritePath(mark < 0 ? path : path.slice(0, mark))
  return { path: mark < 0 || rewritten.includes('?') ? rewritten : rewritten + path.slice(mark) }
}

function sentBy({ headers = {} }: CaseRequest): readonly string[] {
  return Object.entries(headers).flat()
}

function answeredTo({ headers = {} }: CaseRequest): readonly string[] {
  const asked = headers['x-echo-set-header']
  return asked === undefined ? [] : asked.split(',').flatMap((pair) => pair.split(':'))
}

function changed(
  headers: readonly string[],
  forward: Forward | undefined,
  part: 'request' | 'response',
): readonly string[] {
  const changes: readonly (HeaderChanges | undefined)[] = [
    forward?.route.filters[part],
    forward?.destination.filters[part],
  ]
  return changes.reduce<readonly string[]>(changeHeaders, headers)
}

function byName(flat: readonly string[]): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = flat[index]!.toLowerCase()
    found[name] = found[name] === undefined ? flat[index + 1]! : `${found[name]},${flat[index + 1]}`
  }
  return found
}
