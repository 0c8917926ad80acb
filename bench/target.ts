// One way from a client to its server, as scenarios see it: where to connect, who generates the load, which processes carry it.

import { MeshError } from '../core/base/errors.ts'
import type { HostPlan } from '../lab/addressing.ts'
import { execInWorkload } from '../lab/exec.ts'
import { unitProcess } from '../lab/faults.ts'
import type { LabSelector } from '../lab/state.ts'
import type { Generator } from './generator.ts'
import type { Destination } from './load/plan.ts'
import type { End } from './peers.ts'
import { processTree } from './process-tree.ts'
import { type Measured, type Peer, type Port, peerPorts, ports, uncaptured } from './subjects.ts'
import { parseWrk, type WrkPlan, type WrkReport, wrkCommand } from './wrk.ts'

export interface TargetFacts {
  readonly name: Measured
  readonly selector: LabSelector
  /** The client's workload. */
  readonly client: string
  /** The client's network namespace. */
  readonly netns: string
  readonly serverAddress: string
  readonly generator: Generator
  /** For load beside the first one's; its process starts when it is needed. */
  readonly second: Generator
  /** A peer's processes. */
  readonly peerPids?: Readonly<Record<End, number>>
  /** Whose daemons carry it. */
  readonly hosts?: readonly [client: HostPlan['name'], server: HostPlan['name']]
  /** The client dials the peer's own ports. */
  readonly dialsPeer?: boolean
}

export class Target {
  readonly #facts: TargetFacts

  constructor(facts: TargetFacts) {
    this.#facts = facts
  }

  get name(): Measured {
    return this.#facts.name
  }

  get netns(): string {
    return this.#facts.netns
  }

  get generator(): Generator {
    return this.#facts.generator
  }

  /** A second process, for load beside the first one's. */
  get secondGenerator(): Generator {
    return this.#facts.second
  }

  /** The same processes, dialled without redirection. */
  uncaptured(peer: Peer): Target {
    return new Target({ ...this.#facts, name: uncaptured(peer), dialsPeer: true })
  }

  destination(port: Port): Destination {
    const { dialsPeer, serverAddress } = this.#facts
    if (dialsPeer === true) return { host: '127.0.0.1', port: peerPorts.client[port] }
    return { host: serverAddress, port: ports[port] }
  }

  async wrk(plan: Omit<WrkPlan, 'host' | 'port'>): Promise<WrkReport> {
    const command = wrkCommand({ ...this.destination('http'), ...plan })
    const { selector, client } = this.#facts
    const { stdout, stderr } = await execInWorkload(selector, client, command, {
      timeoutMs: (plan.seconds + 30) * 1_000,
    })
    return parseWrk(stdout === '' ? stderr : stdout)
  }

  /** Many connections travel in one between the hosts. */
  get sharesConnections(): boolean {
    return this.#facts.hosts !== undefined
  }

  /** Processes that carry the traffic at each end; undefined where nobody stands between. */
  processes(): Readonly<Record<End, readonly number[]>> | undefined {
    const { peerPids, hosts } = this.#facts
    if (peerPids !== undefined) return { client: processTree(peerPids.client), server: processTree(peerPids.server) }
    if (hosts === undefined) return undefined
    return { client: this.#daemon(hosts[0]), server: this.#daemon(hosts[1]) }
  }

  #daemon(host: string): readonly number[] {
    const record = unitProcess(this.#facts.selector, `daemon@${host}`)
    if (record === undefined) throw new MeshError('LAB_FAILED', `daemon@${host} is not running`)
    return [record.pid]
  }
}
