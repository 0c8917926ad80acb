// What the steps of the tour share: the lab, its API, and questions about the mesh. Made by demo.ts.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ApiClient } from '../../cli/client.ts'
import { MeshError } from '../../core/base/errors.ts'
import { parseManifests } from '../../core/model/manifest.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { HostPlan, WorkloadPlan } from '../addressing.ts'
import { findWorkload } from '../exec.ts'
import { type Lab, labClient, waitUntil } from '../lab.ts'
import { loadFrom } from '../load/in-workload.ts'
import type { LoadPlan, LoadReport } from '../load/load.ts'
import { isCaptured, meshView, outOfStep } from '../mesh.ts'
import { getInside } from '../probe.ts'
import { type LabSelector, logFile } from '../state.ts'
import type { Narrator } from './narrator.ts'

export const caller = 'service-a.default'
export const server = 'service-b.default'
export const stranger = 'service-c.default'
export const serviceUrl = 'http://service-b:8080/'

/** A fact that a step must establish. */
export function expect(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new MeshError('LAB_FAILED', otherwise)
}

/** A file of the demo or the examples, as the user would apply it. */
export function fileOf(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url))
}

/** What a step has found, in words and for programs. */
export interface Finding {
  readonly finding: string
  readonly facts: Readonly<Record<string, unknown>>
}

export interface TourStep {
  readonly name: string
  readonly title: string
  /** What is about to happen, in plain words. */
  readonly words: string
  readonly command: (selector: LabSelector) => string
  readonly run: (tour: Tour) => Promise<Finding>
}

export class Tour {
  readonly selector: LabSelector
  readonly signal: AbortSignal
  readonly say: Narrator
  #lab: Lab | undefined
  #client: ApiClient | undefined

  constructor(selector: LabSelector, signal: AbortSignal, say: Narrator) {
    this.selector = selector
    this.signal = signal
    this.say = say
  }

  get lab(): Lab {
    if (this.#lab === undefined) throw new MeshError('LAB_FAILED', 'the lab is not up')
    return this.#lab
  }

  set lab(lab: Lab) {
    this.#lab = lab
    this.#client = labClient(lab)
  }

  get client(): ApiClient {
    if (this.#client === undefined) throw new MeshError('LAB_FAILED', 'the lab is not up')
    return this.#client
  }

  async close(): Promise<void> {
    this.#client?.close()
  }

  workload(name: string): WorkloadPlan {
    return findWorkload(this.lab.plan.workloads, name)
  }

  hostOf(workload: string): HostPlan {
    const { host } = this.workload(workload)
    return this.lab.plan.hosts.find((candidate) => candidate.name === host)!
  }

  load(workload: string, plan: LoadPlan): Promise<LoadReport> {
    return loadFrom(this.selector, workload, plan)
  }

  /** Waits until every workload is captured, or none is. */
  async waitCaptured(wanted: boolean): Promise<void> {
    const { workloads } = this.lab.plan
    await waitUntil(
      wanted ? 'every workload is captured' : 'no workload is captured',
      async () => {
        const view = await meshView(this.client)
        if (workloads.some((workload) => isCaptured(workload, view) !== wanted)) return false
        return (await outOfStep(this.client, workloads)) === undefined
      },
      20_000,
    )
  }

  /** The certificates that the daemon of a workload's host holds, by identity. */
  async certificates(workload: string): Promise<ReadonlyMap<string, X509Certificate>> {
    const target = { address: '127.0.0.1', port: 15000, path: '/certificates' }
    const { status, body } = await getInside(this.hostOf(workload).netns, target)
    expect(status === 200, `the daemon's admin port answers ${status}`)
    const list = JSON.parse(body) as readonly { readonly identity: string; readonly chain: string }[]
    return new Map(list.map((entry) => [entry.identity, new X509Certificate(entry.chain)]))
  }

  /** Lines of a daemon's access log from byte `from` on. */
  accessLog(workload: string, from: number): readonly Readonly<Record<string, unknown>>[] {
    const text = readFileSync(logFile(this.lab.paths, `daemon@${this.hostOf(workload).name}`))
      .subarray(from)
      .toString()
    return text.split('\n').flatMap((line) => {
      if (!line.includes('"scope":"access"')) return []
      return [JSON.parse(line) as Readonly<Record<string, unknown>>]
    })
  }

  logSize(workload: string): number {
    return readFileSync(logFile(this.lab.paths, `daemon@${this.hostOf(workload).name}`)).length
  }
}

/** The objects of one file. Throws RESOURCE_INVALID; the files are our own. */
export function objectsOf(file: string): readonly MeshObject[] {
  const { objects, problems } = parseManifests(readFileSync(file, 'utf8'), file)
  expect(problems.length === 0, `${file}: ${problems[0]?.message ?? ''}`)
  return objects.map(({ object }) => object)
}
