// All local workloads of the host: takes what the discoverers find, keeps one EnrolledWorkload each, remembers them on
// disk, reports them to the control plane and lists them for the daemon. Wired up by app.ts.
import { randomBytes } from 'node:crypto'
import type { Logger } from '../../core/base/log.ts'
import type { StateFile } from '../../core/base/state-file.ts'
import type { LocalWorkload } from '../../core/feed/handoff.ts'
import type { WorkloadReport } from '../../core/feed/messages.ts'
import { formatIdentity } from '../../core/identity/spiffe.ts'
import type { DiscoveredWorkload } from '../discover/discoverer.ts'
import { inodeOf, type Pin, type Pins } from '../redirect/pins.ts'
import type { HostState, WorkloadRecord } from '../state.ts'
import { compareInventory, uidBeforeReboot } from './inventory.ts'
import type { Enrolment } from './plan.ts'
import { EnrolledWorkload, type EnrolmentDeps } from './workload.ts'

export interface ReconcilerOptions extends Omit<EnrolmentDeps, 'changed' | 'mesh'> {
  readonly host: string
  readonly bootId: string
  readonly pins: Pick<Pins, 'pin' | 'held' | 'release' | 'releaseOthers'>
  readonly file: StateFile<HostState>
  readonly connected: () => boolean
  /** The complete report, whenever it changes. */
  readonly report: (workloads: readonly WorkloadReport[]) => void
  readonly instanceId?: () => string
}

export class Reconciler {
  readonly #options: ReconcilerOptions
  readonly #log: Logger
  readonly #workloads = new Map<string, EnrolledWorkload>()
  readonly #pinNames = new Map<string, string>()
  readonly #ended = new Set<Promise<void>>()
  #found: readonly DiscoveredWorkload[] = []
  #refused: ReadonlySet<string> = new Set()
  /** Of an earlier boot; used up as workloads come back. */
  #beforeReboot: HostState | undefined
  #lastReport = ''
  #closed = false

  constructor(options: ReconcilerOptions) {
    this.#options = options
    this.#log = options.log
  }

  /** Takes over what an earlier agent left: its pins, rules and uids. */
  async load(): Promise<void> {
    const { file, pins, bootId } = this.#options
    const saved = await file.load()
    const sameBoot = saved?.bootId === bootId
    if (!sameBoot) this.#beforeReboot = saved
    const records = sameBoot ? saved.workloads : []
    for (const record of records) {
      const pin = pins.held(record.pin, record.definition.netns.inode)
      if (pin === undefined) this.#log.warn({ uid: record.uid }, 'a workload of the last run is gone')
      else this.#start(record, pin)
    }
    const stale = pins.releaseOthers(new Set(this.#pinNames.values()))
    if (stale.length > 0) this.#log.info({ pins: stale }, 'removed stale pins')
  }

  /** The complete set of what runs on the host. */
  discovered(workloads: readonly DiscoveredWorkload[]): void {
    if (this.#closed) return
    this.#found = workloads
    const known = [...this.#workloads.values()].filter((workload) => !workload.gone).map(({ record }) => record)
    const change = compareInventory(known, workloads, ({ path, inode }) => inodeOf(path) === inode)
    for (const { uid, how } of change.retired) {
      this.#log.info({ uid, how }, 'a workload is gone')
      this.#workloads.get(uid)?.retire(how)
    }
    for (const { uid, definition } of change.redefined) this.#workloads.get(uid)?.redefine(definition)
    // a namespace changes hands only once its former workload has left it
    const leaving = new Set([...this.#workloads.values()].map(({ record }) => record.definition.netns.inode))
    for (const definition of change.added) if (!leaving.has(definition.netns.inode)) this.#add(definition)
    this.#note()
  }

  /** What the control plane did not accept, and why. */
  refused(refused: readonly { readonly uid: string; readonly reason: string }[]): void {
    for (const { uid, reason } of refused) {
      if (!this.#refused.has(uid)) this.#log.error({ uid }, `the control plane refuses the workload: ${reason}`)
    }
    this.#refused = new Set(refused.map(({ uid }) => uid))
    this.wake()
  }

  /** The model, the feed or a daemon has changed. */
  wake(): void {
    for (const workload of this.#workloads.values()) workload.wake()
  }

  /** What a daemon has to serve now. */
  get localWorkloads(): readonly LocalWorkload[] {
    return [...this.#workloads.values()].flatMap((workload) => workload.local ?? [])
  }

  /** How many workloads are in each state. */
  get states(): ReadonlyMap<Enrolment['kind'], number> {
    const counts = new Map<Enrolment['kind'], number>()
    for (const { state } of this.#workloads.values()) counts.set(state.kind, (counts.get(state.kind) ?? 0) + 1)
    return counts
  }

  /** Whether a workload with this SPIFFE identity runs here. */
  hasIdentity(identity: string): boolean {
    const { trustDomain } = this.#options.model
    return [...this.#workloads.values()].some(({ record }) => {
      const { namespace, serviceAccount } = record.definition
      return formatIdentity({ trustDomain, namespace, serviceAccount }) === identity
    })
  }

  /** Stops working; redirection, pins and listeners stay as they are. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#workloads.values()].map((workload) => workload.close()))
    await Promise.all(this.#ended)
    await this.#options.file.idle()
  }

  #add(definition: DiscoveredWorkload): void {
    const { host, pins, instanceId = randomInstance } = this.#options
    const { namespace, name, netns } = definition
    const instance = instanceId()
    const pinName = `${namespace}.${name}.${instance}`.slice(-200)
    const earlier = this.#beforeReboot === undefined ? undefined : uidBeforeReboot(this.#beforeReboot, definition)
    const taken = earlier !== undefined && this.#workloads.has(earlier)
    const uid = earlier === undefined || taken ? `${host}/${namespace}/${name}/${instance}` : earlier
    try {
      const pin = pins.pin(pinName, netns.path, netns.inode)
      this.#log.info({ uid, netns: netns.path, addresses: definition.addresses }, 'found a workload')
      this.#start({ uid, pin: pinName, definition, captured: false }, pin)
    } catch (error: unknown) {
      // the next scan of the discoverer sees it again, or sees it gone
      this.#log.warn({ err: error, workload: `${namespace}/${name}` }, 'the network namespace could not be pinned')
    }
  }

  #start(record: WorkloadRecord, pin: Pin): void {
    const { connected } = this.#options
    const refused = (uid: string): boolean => this.#refused.has(uid)
    const workload = new EnrolledWorkload(record, pin, {
      ...this.#options,
      mesh: {
        get connected() {
          return connected()
        },
        refused,
      },
      changed: () => this.#changed(),
    })
    this.#workloads.set(record.uid, workload)
    this.#pinNames.set(record.uid, record.pin)
    const ended = workload.start().then(() => {
      this.#ended.delete(ended)
      if (!this.#closed && workload.gone) this.#finish(record.uid)
    })
    this.#ended.add(ended)
  }

  /** A workload has left: its pin is the last trace. */
  #finish(uid: string): void {
    const pin = this.#pinNames.get(uid)
    if (pin !== undefined) this.#options.pins.release(pin)
    this.#pinNames.delete(uid)
    this.#workloads.delete(uid)
    this.#log.info({ uid }, 'the workload has left')
    this.discovered(this.#found)
  }

  #note(): void {
    this.#changed().catch((error: unknown) =>
      this.#log.error({ err: error }, 'the state of this host could not be saved'),
    )
  }

  /** Reports upwards what changed and resolves when it is on disk. */
  async #changed(): Promise<void> {
    this.#reportNow()
    const { file, bootId } = this.#options
    await file.save(() => ({
      bootId,
      workloads: [...this.#workloads.values()].map(({ record }) => record),
    }))
  }

  #reportNow(): void {
    const report = [...this.#workloads.values()].filter((workload) => !workload.gone).map(reportOf)
    const text = JSON.stringify(report)
    if (text === this.#lastReport) return
    this.#lastReport = text
    this.#options.report(report)
  }
}

function reportOf(workload: EnrolledWorkload): WorkloadReport {
  const { record, state } = workload
  const { name, namespace, serviceAccount, addresses, labels, ports, locality, weight } = record.definition
  const bypassing = state.kind === 'captured' ? (state.bypassing?.size ?? 0) : 0
  const enrolment = { captured: state.kind === 'captured', uncapturedConnections: bypassing }
  return { uid: record.uid, name, namespace, serviceAccount, addresses, labels, ports, locality, weight, ...enrolment }
}

function randomInstance(): string {
  return randomBytes(4).toString('hex')
}
