// `GET /culvert/v1/explain`: what the published model says of a connection, and with `live` what the proxies at both ends say.
// Used by `culvert explain`; the API server has authenticated the caller.
import { asMeshError } from '../../core/base/errors.ts'
import { explain } from '../../core/decide/explain/explain.ts'
import { differences, type Side } from '../../core/decide/explain/live.ts'
import type {
  ExplainedPolicy,
  ExplainQuestion,
  Explanation,
  LiveExplanation,
  LiveReport,
  LiveView,
} from '../../core/model/explanation.ts'
import { serviceKind } from '../../core/model/kinds/core.ts'
import { authorizationPolicyKind } from '../../core/model/kinds/istio.ts'
import { Snapshot } from '../../core/model/snapshot.ts'
import type { CompiledDelta } from '../../core/model/types.ts'
import { ApiError, asApiError } from '../api/errors.ts'
import { type ApiRequest, flag, type Handler } from '../api/request.ts'
import type { Resources } from '../api/resources.ts'

/** The published state; DeltaLog is one. */
export interface PublishedModel {
  readonly epoch: string
  readonly version: number
  full(): CompiledDelta
  since(version: number): CompiledDelta | undefined
}

export interface Taken {
  readonly ackedVersion: number
  readonly refusedResources: readonly unknown[]
}

export interface ExplainDeps {
  readonly resources: Resources
  readonly deltas: PublishedModel
  /** Asks the daemon of a host; rejects with a MeshError. */
  readonly ask: (host: string, question: ExplainQuestion, signal: AbortSignal) => Promise<LiveView>
  /** What a host that is connected here has taken; undefined where it is away. */
  readonly taken?: (host: string) => Taken | undefined
  /** URL of the API of the other replica that a host is connected to. */
  readonly elsewhere?: (host: string) => string | undefined
}

export const explainPath = '/culvert/v1/explain'
const parameters: ReadonlySet<string> = new Set([
  'source',
  'destination',
  'namespace',
  'method',
  'path',
  'header',
  'live',
])
/** Both within what an agent takes. */
const maxTextLength = 2048
const maxNamespaceLength = 253
const maxHeaders = 100

export function explainRoutes(deps: ExplainDeps): Readonly<Record<string, Handler>> {
  const model = new FollowingModel(deps.deltas)
  return {
    [`GET ${explainPath}`]: async (request) => {
      const question = questionOf(request)
      const snapshot = model.current()
      try {
        const explanation = await withNotes(deps.resources, explain(snapshot, question))
        if (!flag(request.url, 'live')) return { status: 200, body: explanation }
        return { status: 200, body: await withLive(deps, explanation, question, request.signal) }
      } catch (error: unknown) {
        throw await namedOtherwise(deps.resources, question, error)
      }
    },
  }
}

/** With what the status of each policy says about it: the compiled model has lost the fields that are not enforced. */
async function withNotes(resources: Resources, explanation: Explanation): Promise<Explanation> {
  const names = new Set(
    explanation.paths.flatMap(({ authorization }) => authorization?.policies.map(({ policy }) => policy) ?? []),
  )
  const notes = new Map<string, readonly string[]>()
  for (const policy of names) notes.set(policy, await notesOf(resources, policy))
  const noted = (policy: ExplainedPolicy): ExplainedPolicy => {
    const found = notes.get(policy.policy) ?? []
    return found.length === 0 ? policy : { ...policy, notes: found }
  }
  const paths = explanation.paths.map((path) => {
    const { authorization } = path
    if (authorization === undefined) return path
    return { ...path, authorization: { ...authorization, policies: authorization.policies.map(noted) } }
  })
  return { ...explanation, paths }
}

async function notesOf(resources: Resources, policy: string): Promise<readonly string[]> {
  const [namespace = '', name = ''] = policy.split('/')
  try {
    const { status } = await resources.get(authorizationPolicyKind, namespace, name)
    const telling = (status?.conditions ?? []).filter(({ type, status: state }) =>
      type.startsWith('Ignored.') ? state === 'True' : type === 'FullyEnforced' && state === 'False',
    )
    return telling.map(({ message }) => message)
  } catch (error: unknown) {
    // gone since the model was published
    if (error instanceof ApiError && error.reason === 'NotFound') return []
    throw error
  }
}

/** A snapshot of the published model that is brought up to date when somebody asks, and costs nothing until then. */
class FollowingModel {
  readonly #published: PublishedModel
  readonly #snapshot = new Snapshot()

  constructor(published: PublishedModel) {
    this.#published = published
  }

  current(): Snapshot {
    const { epoch, version } = this.#published
    const held = this.#snapshot
    if (version === 0) throw new ApiError('ServiceUnavailable', 'the first state is not compiled yet')
    if (held.epoch === epoch && held.version === version) return held
    const delta = held.epoch === epoch ? this.#published.since(held.version) : undefined
    held.apply(delta ?? this.#published.full())
    return held
  }
}

function questionOf({ url }: ApiRequest): ExplainQuestion {
  for (const name of url.searchParams.keys()) {
    if (!parameters.has(name)) throw new ApiError('BadRequest', `explain has no parameter "${name}"`)
  }
  const one = (name: string): string | undefined => {
    const text = url.searchParams.get(name) ?? ''
    const most = name === 'namespace' ? maxNamespaceLength : maxTextLength
    if (text.length > most) throw new ApiError('BadRequest', `${name} is longer than ${most} characters`)
    return text === '' ? undefined : text
  }
  const [source, destination] = [one('source'), one('destination')]
  if (source === undefined || destination === undefined) {
    throw new ApiError('BadRequest', 'explain needs the parameters source and destination')
  }
  const optional = { namespace: one('namespace'), method: one('method'), path: one('path') }
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
  const headers = headersOf(url)
  return { source, destination, ...given, ...(headers === undefined ? {} : { headers }) }
}

/** `header=name: value`, as often as there are headers. */
function headersOf(url: URL): Readonly<Record<string, string>> | undefined {
  const lines = url.searchParams.getAll('header')
  if (lines.length === 0) return undefined
  if (lines.length > maxHeaders) throw new ApiError('BadRequest', `more than ${maxHeaders} headers`)
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)$/.exec(line.slice(0, maxTextLength)) ?? []
      if (name === undefined || value === undefined)
        throw new ApiError('BadRequest', `header "${line}" is not name: value`)
      return [name.toLowerCase(), value] as const
    }),
  )
}

/** Hosts asked at most: a service may have endpoints everywhere. */
const maxHosts = 20

async function withLive(
  { ask, elsewhere, taken }: ExplainDeps,
  explanation: Explanation,
  question: ExplainQuestion,
  signal: AbortSignal,
): Promise<LiveExplanation> {
  const asked = [...hostsOf(explanation)].slice(0, maxHosts)
  const live = await Promise.all(
    asked.map(async ([host, sides]): Promise<LiveReport> => {
      const base = { host, asked: [...sides] }
      const api = elsewhere?.(host)
      if (api !== undefined) {
        return { ...base, api, failed: `it is connected to another replica: ask the one at ${api}`, differences: [] }
      }
      if (sides.has('waypoint')) return { ...base, ...takenBy(explanation, taken?.(host)) }
      try {
        const view = await ask(host, question, signal)
        return { ...base, ...reportOf(explanation, view, host, base.asked) }
      } catch (error: unknown) {
        return { ...base, failed: asMeshError(error, 'FEED_CLOSED').message, differences: [] }
      }
    }),
  )
  return { ...explanation, live }
}

/** An instance of a waypoint answers no questions; whether it can do as explained is known from what it acknowledged. */
function takenBy(
  { model }: Explanation,
  taken: Taken | undefined,
): Pick<LiveReport, 'failed' | 'model' | 'behind' | 'differences'> {
  if (taken === undefined) {
    const failed = 'it is not connected to this control plane: where it is down, connections to it are refused'
    return { failed, differences: [] }
  }
  const { ackedVersion: version, refusedResources } = taken
  const refused = refusedResources.length
  const differences =
    refused === 0 ? [] : [`it could not take ${refused} of its resources: see \`culvert status -o wide\``]
  return { model: { epoch: model.epoch, version }, behind: model.version - version, differences }
}

/** The host of the source first. Workloads that no agent reports have none. */
function hostsOf({ source, paths }: Explanation): ReadonlyMap<string, ReadonlySet<Side>> {
  const hosts = new Map<string, Set<Side>>()
  const add = (host: string | undefined, side: Side): void => {
    if (host === undefined || host === '') return
    hosts.set(host, (hosts.get(host) ?? new Set()).add(side))
  }
  add(source.workload?.host, 'source')
  for (const { waypoint } of paths) for (const { workload } of waypoint?.instances ?? []) add(workload.host, 'waypoint')
  for (const { workload } of paths) add(workload?.host, 'destination')
  return hosts
}

function reportOf(
  explanation: Explanation,
  view: LiveView,
  host: string,
  sides: readonly Side[],
): Omit<LiveReport, 'host' | 'asked'> {
  const { model, limits } = view
  const same = model.epoch === explanation.model.epoch
  return {
    model,
    ...(same ? { behind: explanation.model.version - model.version } : {}),
    limits,
    differences: differences(explanation, view, host, sides),
  }
}

/** An ExternalName has no place in the model, but people ask about it by its name. */
async function namedOtherwise(
  resources: Resources,
  { destination }: ExplainQuestion,
  error: unknown,
): Promise<ApiError> {
  const failure = asApiError(error)
  if (failure.reason !== 'NotFound') return failure
  const [host = '', port = ''] = destination.split(/:(?=\d+$)/)
  const { items } = await resources.list(serviceKind)
  const named = items.find(({ metadata, spec }) => {
    const { name, namespace = '' } = metadata
    const names = [`${name}.${namespace}`, `${namespace}/${name}`, `${name}.${namespace}.svc.cluster.local`]
    return names.includes(host) && (spec as { readonly type?: unknown } | undefined)?.type === 'ExternalName'
  })
  if (named === undefined) return failure
  const { externalName = '' } = named.spec as { readonly externalName?: string }
  const target = port === '' ? externalName : `${externalName}:${port}`
  const text = `service ${host} is an ExternalName, an alias that the mesh leaves to the resolver: explain ${target} instead`
  return new ApiError('NotFound', text)
}
