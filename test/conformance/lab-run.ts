// Runs cases of the table in a lab with a waypoint: applies their resources, waits for the status of their routes, sends their
// requests from inside the clients' workloads, compares everything. Used by main.ts and by the netns test.
import { randomUUID } from 'node:crypto'
import { applyObject, servedKind } from '../../cli/apply.ts'
import { sleep } from '../../core/base/deadline.ts'
import type { Condition, MeshObject } from '../../core/model/resource.ts'
import type { Call, CallResult } from '../../lab/calls/call.ts'
import { callsFrom } from '../../lab/calls/in-workload.ts'
import { getInside } from '../../lab/probe.ts'
import type { MeshLab } from '../helpers/mesh-lab.ts'
import { parse } from '../helpers/netns-world.ts'
import { meshNamespace } from './base.ts'
import { type CaseRequest, type ConformanceCase, type ExpectedRoute, frontendOf, titleOf } from './case.ts'
import { observedOf, problemsOf, shareProblems } from './compare.ts'

/** As upstream: three passes in a row; a round that fails is tried again. */
const passesInRow = 3
const rounds = 5
const pauseMs = 500
const statusMs = 15_000
const countsMs = 5_000

export interface CaseOutcome {
  readonly name: string
  readonly profile: ConformanceCase['profile']
  readonly level: ConformanceCase['level']
  /** `title: problem`; empty where the case passes. */
  readonly problems: readonly string[]
  /** Rounds that the slowest of its requests took. */
  readonly rounds: number
  readonly seconds: number
}

export async function runCase(mesh: MeshLab, test: ConformanceCase): Promise<CaseOutcome> {
  const begin = performance.now()
  const objects = parse(test.resources).map(placed)
  const outcome = (problems: readonly string[], taken: number): CaseOutcome => {
    const seconds = Math.round((performance.now() - begin) / 100) / 10
    return { name: test.name, profile: test.profile, level: test.level, problems, rounds: taken, seconds }
  }
  try {
    for (const object of objects) await applyObject(mesh.client, object)
    const status = await statusOf(mesh, objects, test.routes ?? [])
    await mesh.converge()
    const requests = await requestsOf(mesh, test.requests)
    return outcome([...status, ...requests.problems], requests.rounds)
  } catch (error: unknown) {
    return outcome([error instanceof Error ? error.message : String(error)], 0)
  } finally {
    for (const object of objects) {
      const { namespace = '', name } = object.metadata
      await mesh.client.delete(servedKind(object), namespace, name).catch(() => {}) // it may not have been applied
    }
  }
}

function placed(object: MeshObject): MeshObject {
  const { namespace = meshNamespace } = object.metadata
  return { ...object, metadata: { ...object.metadata, namespace } }
}

interface RouteParent {
  readonly parentRef: { readonly name?: string }
  readonly conditions?: readonly Condition[]
}

/** Waits until every parent of every route says what is expected. @returns what is still other when the time is up */
async function statusOf(
  mesh: MeshLab,
  objects: readonly MeshObject[],
  expected: readonly ExpectedRoute[],
): Promise<readonly string[]> {
  const routes = objects.filter(({ kind }) => kind.endsWith('Route'))
  const end = performance.now() + statusMs
  for (;;) {
    const problems: string[] = []
    for (const route of routes) {
      const { namespace = '', name } = route.metadata
      const stored = await mesh.client.get(servedKind(route), namespace, name)
      if (stored === undefined) problems.push(`${name} is not there`)
      else problems.push(...routeProblems(stored, expected.find((each) => each.name === name) ?? { name }))
    }
    if (problems.length === 0 || performance.now() > end) return problems
    await sleep(100)
  }
}

function routeProblems(route: MeshObject, { notAccepted, unresolved }: ExpectedRoute): readonly string[] {
  const { name } = route.metadata
  const written = (route.spec?.['parentRefs'] ?? []) as readonly object[]
  const parents = (route.status?.['parents'] ?? []) as readonly RouteParent[]
  if (parents.length !== written.length) return [`${name}: status has ${parents.length} parents of ${written.length}`]
  return parents.flatMap(({ parentRef, conditions = [] }) => {
    const said = (type: string): string => {
      const found = conditions.find((condition) => condition.type === type)
      if (found === undefined) return 'nothing'
      return found.status === 'True' ? 'True' : `${found.status} ${found.reason}`
    }
    const wanted = {
      Accepted: notAccepted === undefined ? 'True' : `False ${notAccepted}`,
      ResolvedRefs: unresolved === undefined ? 'True' : `False ${unresolved}`,
      ...(notAccepted === undefined ? { Programmed: 'True' } : {}),
    }
    return Object.entries(wanted).flatMap(([type, value]) =>
      said(type) === value ? [] : [`${name}: parent ${parentRef.name}: ${type} is ${said(type)}, expected ${value}`],
    )
  })
}

interface Tried {
  readonly request: CaseRequest
  readonly uuid: string
  readonly path: string
  readonly call: Call
}

async function requestsOf(
  mesh: MeshLab,
  requests: readonly CaseRequest[],
): Promise<{ readonly problems: readonly string[]; readonly rounds: number }> {
  let open = requests
  for (let round = 1; ; round++) {
    const found = await roundOf(mesh, open)
    const failing = open.filter((request) => (found.get(request) ?? []).length > 0)
    if (failing.length === 0) return { problems: [], rounds: round }
    if (round === rounds) {
      const told = failing.flatMap((request) =>
        (found.get(request) ?? []).map((each) => `${titleOf(request)}: ${each}`),
      )
      return { problems: told, rounds: round }
    }
    open = failing
    await sleep(pauseMs)
  }
}

/** Each request as often as it must pass in a row. @returns the problems of each */
async function roundOf(
  mesh: MeshLab,
  requests: readonly CaseRequest[],
): Promise<ReadonlyMap<CaseRequest, readonly string[]>> {
  const problems = new Map<CaseRequest, string[]>(requests.map((request) => [request, []]))
  const tries = requests.flatMap((request) => {
    const times = request.repeat !== undefined || request.series === true ? 1 : passesInRow
    return Array.from({ length: times }, () => triedOf(mesh, request))
  })
  for (const [namespace, group] of Map.groupBy(tries, ({ request }) => request.from ?? meshNamespace)) {
    const calls = group.map(({ call }) => call)
    const results = await callsFrom(mesh.lab.selector, `client.${namespace}`, calls, { concurrency: 4 })
    for (const [index, tried] of group.entries()) {
      const own = await resultProblems(mesh, tried, results[index]!)
      problems.get(tried.request)!.push(...own)
    }
  }
  return new Map([...problems].map(([request, list]) => [request, [...new Set(list)]]))
}

function triedOf(mesh: MeshLab, request: CaseRequest): Tried {
  const { path: written = '/', protocol, method, headers, body, repeat } = request
  const uuid = randomUUID()
  const path = request.series === true ? `${written}${written.includes('?') ? '&' : '?'}uuid=${uuid}` : written
  const call: Call = {
    url: `http://${authorityOf(mesh, request)}${path}`,
    ...(protocol === undefined ? {} : { protocol }),
    ...(method === undefined ? {} : { method }),
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body }),
    ...(repeat === undefined ? {} : { repeat }),
  }
  return { request, uuid, path, call }
}

/** `pod echo-v2:8080` is the address of that workload. */
function authorityOf(mesh: MeshLab, request: CaseRequest): string {
  const { to = 'echo' } = request
  const pod = /^pod ([^:]+):(\d+)$/.exec(to)
  if (pod !== null) return `${mesh.address(`${meshNamespace}/${pod[1]}`)}:${pod[2]}`
  const { port } = frontendOf(request)
  const host = to.split(':')[0]!
  return port === 80 ? host : `${host}:${port}`
}

async function resultProblems(mesh: MeshLab, tried: Tried, result: CallResult): Promise<readonly string[]> {
  const { request, uuid, path } = tried
  const { expect, repeat = 1 } = request
  if (result.kind === 'failed') return [`${result.code}: ${result.message}`]
  const own =
    result.kind === 'counted'
      ? shareProblems(expect.shares ?? {}, result.counts, repeat)
      : problemsOf(request, path, observedOf(result))
  const mirrored = Object.entries(expect.mirrored ?? {}).map(([pod, percent]) => [pod, percent / 100] as const)
  const near = mirrored.map(([pod, share]) =>
    arrived(mesh, uuid, pod, repeat * share, repeat === 1 ? 0 : 0.05 * repeat),
  )
  const exact = Object.entries(expect.attempts ?? {}).map(([pod, count]) => arrived(mesh, uuid, pod, count, 0))
  return [...own, ...(await Promise.all([...near, ...exact])).flat()]
}

/** Waits for what may still be under way, a mirror or the end of a try. */
async function arrived(
  mesh: MeshLab,
  uuid: string,
  pod: string,
  wanted: number,
  tolerance: number,
): Promise<readonly string[]> {
  const end = performance.now() + countsMs
  for (;;) {
    const { netns } = mesh.workload(`${meshNamespace}/${pod}`)
    const answer = await getInside(netns, { address: '127.0.0.1', port: 8080, path: `/counts?uuid=${uuid}` })
    const { requests } = JSON.parse(answer.body) as { readonly requests: number }
    if (Math.abs(requests - wanted) <= tolerance) return []
    if (requests > wanted + tolerance || performance.now() > end) {
      return [`${requests} requests arrived at ${pod}, expected ${wanted}`]
    }
    await sleep(50)
  }
}
