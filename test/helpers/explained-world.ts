// A World that has every connection and every question to the DNS explained before it is made, and holds against the explanation
// what then happens: answered or refused, by whom, as whom, through the tunnel or not. Used by the scenarios of both rings.
import type net from 'node:net'
import type { Test } from 'tap'
import type { ExplainedPath, Explanation } from '../../core/model/explanation.ts'
import {
  type AddressFamily,
  canonicalAddress,
  familyOf,
  formatSocketAddress,
  parseSocketAddress,
  type SocketAddress,
} from '../../core/net/address.ts'
import { cast, type LookupAnswer, type Scenario, type World } from './scenario-world.ts'

interface Attempt {
  readonly from: string
  readonly to: SocketAddress
  readonly explanation: Explanation
}

type Outcome =
  | { readonly kind: 'answered'; readonly pod: string; readonly namespace: string; readonly caller: string }
  | { readonly kind: 'refused'; readonly how: string }

type Reused = Parameters<World['reuseAddress']>[0]

export class ExplainedWorld implements World {
  readonly ring: World['ring']
  readonly #world: World
  readonly #disagreements: string[] = []
  /** Connections that should have entered a workload through the tunnel, by `namespace/name`. */
  readonly #expected = new Map<string, number>()
  /** Applications that go on under the name of a workload that is gone. */
  readonly #renamed = new Map<string, string>()
  readonly #open = new Set<Promise<void>>()
  #comparisons = 0

  constructor(world: World) {
    this.#world = world
    this.ring = world.ring
  }

  /** Connections and lookups that were held against their explanation. */
  get comparisons(): number {
    return this.#comparisons
  }

  /** Runs a scenario and fails it for every disagreement, and for every connection that took another transport than explained. */
  async run(t: Test, { run }: Scenario): Promise<void> {
    this.#expected.clear()
    this.#disagreements.length = 0
    const before = await this.#tunnelled()
    await run(t, this)
    await Promise.all(this.#open)
    for (const [workload, count] of await this.#tunnelled()) {
      const entered = count - (before.get(workload) ?? 0)
      const expected = this.#expected.get(workload) ?? 0
      if (entered === expected) continue
      this.#disagreements.push(
        `${entered} connections came through the tunnel into ${workload}, explained were ${expected}`,
      )
    }
    t.same(this.#disagreements, [], 'explain agrees with what happened')
  }

  async open(from: string, to: SocketAddress): Promise<net.Socket> {
    const attempt = { from, to, explanation: await this.#world.explain(from, formatSocketAddress(to)) }
    let socket: net.Socket
    try {
      socket = await this.#world.open(from, to)
    } catch (error) {
      this.#compare(attempt, { kind: 'refused', how: String(error) })
      throw error
    }
    const seen = outcomeOf(socket).then((outcome) => {
      if (outcome !== undefined) this.#compare(attempt, outcome)
      this.#open.delete(seen)
    })
    this.#open.add(seen)
    return socket
  }

  async lookup(from: string, name: string, type: 'A' | 'AAAA'): Promise<LookupAnswer> {
    const explained = await this.#named(from, `${name}:8080`)
    const answer = await this.#world.lookup(from, name, type)
    this.#comparisons++
    const family: AddressFamily = type === 'A' ? 'ipv4' : 'ipv6'
    const wanted = lookupOf(explained, family)
    const got = answer.rcode === 'NOERROR' ? [...answer.addresses].sort().join() : answer.rcode
    if (got !== wanted) this.#disagreements.push(`${type} ${name}: ${got}, explained was ${wanted}`)
    return answer
  }

  explain(from: string, destination: string): Promise<Explanation> {
    return this.#world.explain(from, destination)
  }

  apply(manifests: string): Promise<void> {
    return this.#world.apply(manifests)
  }

  remove(manifests: string): Promise<void> {
    return this.#world.remove(manifests)
  }

  has(workload: string): boolean {
    return this.#world.has(workload)
  }

  address(workload: string, family?: AddressFamily): string {
    return this.#world.address(workload, family)
  }

  vip(service: string, family?: AddressFamily): string {
    return this.#world.vip(service, family)
  }

  tunnelledInto(workload: string): Promise<number> {
    return this.#world.tunnelledInto(workload)
  }

  restartDaemon(host: string): Promise<void> {
    return this.#world.restartDaemon(host)
  }

  async reuseAddress(successor: Reused): Promise<void> {
    await this.#world.reuseAddress(successor)
    this.#renamed.set('mesh/reuse', `mesh/${successor.name}`)
  }

  close(): Promise<void> {
    return this.#world.close()
  }

  async #tunnelled(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>()
    const known = [...cast.workloads.map(({ namespace, name }) => `${namespace}/${name}`), ...this.#renamed.values()]
    for (const workload of known) {
      if (this.#world.has(workload)) counts.set(workload, await this.#world.tunnelledInto(workload))
    }
    return counts
  }

  async #named(from: string, destination: string): Promise<Explanation | 'unknown'> {
    try {
      return await this.#world.explain(from, destination)
    } catch (error: unknown) {
      const { code, reason } = error as { readonly code?: unknown; readonly reason?: unknown }
      if (code === 'RESOURCE_NOT_FOUND' || reason === 'NotFound') return 'unknown'
      throw error
    }
  }

  #compare(attempt: Attempt, outcome: Outcome): void {
    this.#comparisons++
    const problem = this.#problem(attempt, outcome)
    if (problem === undefined) return
    const { from, to, explanation } = attempt
    const what = `${from} to ${formatSocketAddress(to)}: ${problem}`
    this.#disagreements.push(`${what}; explained was: ${explanation.verdict}: ${explanation.summary}`)
  }

  #problem({ explanation, from }: Attempt, outcome: Outcome): string | undefined {
    const passing = explanation.paths.filter(({ verdict }) => verdict === 'allowed' || verdict === 'not-captured')
    if (outcome.kind === 'refused') {
      return passing.length === explanation.paths.length ? `refused (${outcome.how})` : undefined
    }
    const name = `${outcome.namespace}/${outcome.pod}`
    const answering = this.#renamed.get(name) ?? name
    const path = passing.find((each) => endOf(each, from) === answering)
    if (path === undefined) return `answered by ${answering}`
    if (path.transport === 'tunnel') this.#expected.set(answering, (this.#expected.get(answering) ?? 0) + 1)
    if (path.callerSeen === undefined || path.callerSeen === outcome.caller) return undefined
    return `the application saw ${outcome.caller}, explained was ${path.callerSeen}`
  }
}

/** The workload that answers on a path. */
function endOf({ transport, workload }: ExplainedPath, from: string): string | undefined {
  if (transport === 'loopback') return from
  return workload === undefined ? undefined : `${workload.namespace}/${workload.name}`
}

function lookupOf(explained: Explanation | 'unknown', family: AddressFamily): string {
  if (explained === 'unknown') return 'NXDOMAIN'
  const { kind, addresses } = explained.destination
  // Nobody else resolves names in these worlds.
  if (kind === 'name') return 'SERVFAIL'
  return addresses
    .filter((address) => familyOf(address) === family)
    .sort()
    .join()
}

/** What becomes of a connection: whose answer comes, or how it ends without one. Undefined where the caller gave it up first. */
function outcomeOf(socket: net.Socket): Promise<Outcome | undefined> {
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const outcome = answerIn(text)
      if (outcome !== undefined) resolve(outcome)
    })
    socket.once('error', (error) => resolve({ kind: 'refused', how: error.message }))
    socket.once('end', () => resolve({ kind: 'refused', how: 'closed without an answer' }))
    socket.once('close', () => resolve(undefined))
  })
}

function answerIn(text: string): Outcome | undefined {
  const field = (name: string): string | undefined => new RegExp(`"${name}":\\s*"([^"]*)"`).exec(text)?.[1]
  const [pod, namespace, caller] = [field('pod'), field('namespace'), field('remoteAddress')]
  if (pod === undefined || namespace === undefined || caller === undefined) return undefined
  // with or without a port
  const address = parseSocketAddress(caller)?.address ?? canonicalAddress(caller) ?? caller
  return { kind: 'answered', pod, namespace, caller: address }
}
