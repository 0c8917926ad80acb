// Turns what agents report into WorkloadEntry objects: placement decides what is believed, this writes it. One report at a
// time over all hosts, so that two hosts can never both get one address.
import { isDeepStrictEqual } from 'node:util'
import { asMeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import type { WorkloadReport } from '../core/feed/messages.ts'
import { workloadEntryKind } from '../core/model/kinds/istio.ts'
import type { MeshObject } from '../core/model/resource.ts'
import { ApiError } from './api/errors.ts'
import type { Resources } from './api/resources.ts'
import { annotation } from './compile/order.ts'
import { names } from './compile/settings.ts'
import type { EntryIndex } from './entries.ts'
import type { Grant } from './grants.ts'
import { type AcceptedWorkload, isReported, type Placement, place } from './placement.ts'
import { Serial } from './serial.ts'

export interface ReportsDeps {
  readonly resources: Resources
  readonly entries: EntryIndex
  readonly isVirtual: (address: string) => boolean
  readonly log: Logger
}

/** Annotations of an entry that the agent's report decides; others are the operator's and stay. */
const reportedAnnotations: readonly string[] = [
  names.workloadUid,
  names.node,
  names.addresses,
  names.redirection,
  names.uncapturedConnections,
]

export class Reports {
  readonly #deps: ReportsDeps
  readonly #serial = new Serial()

  constructor(deps: ReportsDeps) {
    this.#deps = deps
  }

  /** Call once the index of entries is filled. Makes the store agree with the complete report of a host. The answer holds only what really is in the store now. */
  apply(grant: Grant, reports: readonly WorkloadReport[]): Promise<Placement> {
    return this.#serial.run(async () => {
      const { entries, isVirtual } = this.#deps
      const placement = place({ grant, reports, entries, isVirtual })
      const own = new Map(entries.reportedBy(grant.host).map((entry) => [keyText(entry), entry]))
      const wanted = new Set(placement.accepted.map(({ object }) => keyText(object)))
      // What is gone goes first: its address may belong to one of the others now.
      for (const [key, entry] of own) if (!wanted.has(key)) await this.#delete(entry)
      const accepted: AcceptedWorkload[] = []
      const refused = [...placement.refused]
      for (const workload of placement.accepted) {
        const reason = await this.#write(workload.object, own.get(keyText(workload.object)))
        if (reason === undefined) accepted.push(workload)
        else refused.push({ uid: workload.report.uid, reason })
      }
      if (refused.length > 0) this.#deps.log.warn({ host: grant.host, refused }, 'refused reported workloads')
      return { accepted, refused }
    })
  }

  /** Forgets every workload of a host that was deleted. */
  removeHost(host: string): Promise<void> {
    return this.#serial.run(async () => {
      for (const entry of this.#deps.entries.reportedBy(host)) await this.#delete(entry)
    })
  }

  /** Forgets the workloads of hosts that are none: a deletion may have been cut short by the end of the process. */
  removeUnknownHosts(known: ReadonlySet<string>): Promise<void> {
    return this.#serial.run(async () => {
      // Once, at start: the index may still be empty.
      const { items } = await this.#deps.resources.list(workloadEntryKind)
      for (const entry of items) {
        if (isReported(entry) && !known.has(annotation(entry, names.node) ?? '')) await this.#delete(entry)
      }
    })
  }

  async #write(object: MeshObject, current: MeshObject | undefined): Promise<string | undefined> {
    try {
      if (current === undefined) await this.#create(object)
      else if (!agrees(current, object)) await this.#update(object)
      return undefined
    } catch (error: unknown) {
      const failure = asMeshError(error, 'STORE_FAILED')
      if (failure.code === 'STORE_FAILED') throw failure
      return failure.message
    }
  }

  async #create(object: MeshObject): Promise<void> {
    const { namespace = '' } = object.metadata
    const { resources } = this.#deps
    await ignore(
      'AlreadyExists',
      resources.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }),
    )
    this.#deps.entries.put((await resources.create(object)).object)
  }

  async #update(object: MeshObject): Promise<void> {
    const { name, namespace = '' } = object.metadata
    const { resources, entries } = this.#deps
    const written = await resources.modify(workloadEntryKind, namespace, name, (old) => merged(old, object))
    entries.put(written.object)
  }

  async #delete(entry: MeshObject): Promise<void> {
    const { name, namespace = '' } = entry.metadata
    await ignore('NotFound', this.#deps.resources.delete(workloadEntryKind, namespace, name))
    this.#deps.entries.forget(entry)
  }
}

function keyText(object: MeshObject): string {
  return `${object.metadata.namespace}/${object.metadata.name}`
}

/** The report decides spec and its own annotations; labels and other annotations on the object are the operator's. */
function merged(old: MeshObject, report: MeshObject): MeshObject {
  const kept = Object.entries(old.metadata.annotations ?? {}).filter(([name]) => !reportedAnnotations.includes(name))
  const annotations = { ...Object.fromEntries(kept), ...report.metadata.annotations }
  return { ...old, spec: report.spec ?? {}, metadata: { ...old.metadata, annotations } }
}

function agrees(current: MeshObject, report: MeshObject): boolean {
  const update = merged(current, report)
  return (
    isDeepStrictEqual(current.spec, update.spec) &&
    isDeepStrictEqual(current.metadata.annotations, update.metadata.annotations)
  )
}

/** Waits for a write whose failure for `reason` means that nothing is left to do. */
async function ignore(reason: ApiError['reason'], write: Promise<unknown>): Promise<void> {
  try {
    await write
  } catch (error: unknown) {
    if (!(error instanceof ApiError) || error.reason !== reason) throw error
  }
}
