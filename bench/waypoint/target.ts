// One way from the client to its application, as scenarios see it: what to call, who generates the load, which processes carry it.
import { readFileSync, rmSync } from 'node:fs'
import { MeshError } from '../../core/base/errors.ts'
import { execInWorkload } from '../../lab/exec.ts'
import { unitProcess } from '../../lab/faults.ts'
import type { LabSelector } from '../../lab/state.ts'
import { cpuMicroseconds, processTree } from '../process-tree.ts'
import { parseWrk, type WrkPlan, type WrkReport, wrkCommand } from '../wrk.ts'
import { type H2loadPlan, type H2loadReport, h2loadCommand, parseH2load, percentilesOf } from './h2load.ts'
import { frontendOf, hops, namespace, ports, type Subject, workloadOf } from './subjects.ts'

export interface TargetFacts {
  readonly name: Subject
  readonly selector: LabSelector
  /** The peer's process. */
  readonly pid?: number
  /** Where the client connects; in the mesh the name of a Service. */
  readonly address?: string
  /** Where generators write. */
  readonly folder: string
}

export interface Load {
  readonly path: string
  readonly connections: number
  readonly seconds: number
}

export type Latencies = ReturnType<typeof percentilesOf>

export class Target {
  readonly #facts: TargetFacts

  constructor(facts: TargetFacts) {
    this.#facts = facts
  }

  get name(): Subject {
    return this.#facts.name
  }

  get folder(): string {
    return this.#facts.folder
  }

  async wrk(load: Load): Promise<WrkReport> {
    const plan: WrkPlan = { ...load, host: this.#host, port: ports.http }
    const { stdout, stderr } = await this.#run(wrkCommand(plan), load.seconds)
    return parseWrk(stdout === '' ? stderr : stdout)
  }

  async h2load(load: Omit<H2loadPlan, 'host' | 'port' | 'log'>): Promise<H2loadReport & Latencies> {
    const log = `${this.#facts.folder}/h2load-${this.name}.log`
    rmSync(log, { force: true })
    const { stdout, stderr } = await this.#run(
      h2loadCommand({ ...load, host: this.#host, port: ports.h2, log }),
      load.seconds,
    )
    const report = parseH2load(stdout === '' ? stderr : stdout)
    return { ...report, ...percentilesOf(readFileSync(log, 'utf8')) }
  }

  /** CPU time so far, of everything between client and application, and of the layer-7 proxy alone; microseconds. */
  cpu(): { readonly all: number; readonly proxy: number | undefined } {
    const { name, pid, selector } = this.#facts
    const daemons = ['daemon@hc', 'daemon@hp', 'daemon@hs'].filter((unit) => hops[name].includes(unit))
    const unitCpu = (unit: string): number => {
      const record = unitProcess(selector, unit)
      if (record === undefined) throw new MeshError('LAB_FAILED', `${unit} is not running`)
      return cpuMicroseconds([record.pid])
    }
    const proxy =
      name === 'culvert' ? unitCpu(waypointUnit) : pid === undefined ? undefined : cpuMicroseconds(processTree(pid))
    return { all: daemons.reduce((sum, unit) => sum + unitCpu(unit), proxy ?? 0), proxy }
  }

  get #host(): string {
    return this.#facts.address ?? `${frontendOf(this.name)}.${namespace}`
  }

  #run(command: readonly string[], seconds: number) {
    const { name, selector } = this.#facts
    return execInWorkload(selector, workloadOf(name, 'client'), command, { timeoutMs: (seconds + 30) * 1_000 })
  }
}

/** Name of the waypoint's unit in the lab. */
export const waypointUnit = `waypoint@wp.${namespace}`
