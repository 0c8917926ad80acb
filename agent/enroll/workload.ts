// One local workload on its way into the mesh and out of it: runs the actions of plan.ts one after the other, retries
// what failed, and keeps checking while captured. Owned by the reconciler.
import { backoff, sleep } from '../../core/base/deadline.ts'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { LocalWorkload } from '../../core/feed/handoff.ts'
import { formatIdentity } from '../../core/identity/spiffe.ts'
import type { PeerAuthenticationMode, Workload } from '../../core/model/types.ts'
import type { DiscoveredWorkload } from '../discover/discoverer.ts'
import type { Serving } from '../handoff-connection.ts'
import type { RedirectRecord, RedirectTarget } from '../redirect/apply.ts'
import type { WorkloadRecord } from '../state.ts'
import { type Action, type Enrolment, isServed, nextAction, type Wanted, wantedOf } from './plan.ts'

/** What a workload needs of the rest of the agent. */
export interface EnrolmentDeps {
  readonly redirector: {
    apply(
      target: RedirectTarget,
      record: RedirectRecord | undefined,
      remember: (record: RedirectRecord) => Promise<void>,
    ): Promise<readonly string[]>
    /** Lets new connections go their own way; those that the daemon has go on. */
    undivert(target: Pick<RedirectTarget, 'workload' | 'netns'>): Promise<void>
    remove(target: Pick<RedirectTarget, 'workload' | 'netns'>, record: RedirectRecord | undefined): Promise<void>
  }
  readonly connections: {
    bypassing(netns: string): Promise<ReadonlySet<string>>
    reset(netns: string, keys: ReadonlySet<string>): Promise<void>
    /** How many connections the daemon has in the namespace. */
    held(netns: string): Promise<number>
  }
  readonly daemon: {
    serving(workload: LocalWorkload): Serving
    add(workload: LocalWorkload): Promise<void>
    remove(uid: string): Promise<void>
  }
  readonly model: {
    readonly known: boolean
    workload(uid: string): Workload | undefined
    readonly vipRanges: readonly string[]
    readonly trustDomain: string
  }
  readonly mesh: { readonly connected: boolean; refused(uid: string): boolean }
  /** Something that the state file or the report tells has changed; resolves when it is on disk. */
  readonly changed: () => Promise<void>
  readonly timing: EnrolmentTiming
  readonly clock: () => number
  readonly log: Logger
}

export interface EnrolmentTiming {
  /** Between two checks of a captured workload. */
  readonly verifyMs: number
  /** How long un-enrolment waits for the peers. */
  readonly releaseMs: number
  /** How long the daemon listens on for peers that have not heard of the un-enrolment yet. */
  readonly lingerMs: number
  /** How long replies are led home to a daemon that drains; longer than it drains. */
  readonly drainMs: number
  readonly absenceGraceMs: number
  readonly retryBaseMs: number
  readonly retryMaxMs: number
}

/** A namespace that has ended is not waited for longer than this many attempts. */
const attemptsOnVanished = 3
/** Between two looks at what a daemon that drains still has. */
const lookMs = 250

export class EnrolledWorkload {
  readonly #deps: EnrolmentDeps
  readonly #log: Logger
  readonly #stop = new AbortController()
  #record: WorkloadRecord
  #netns: { readonly path: string; readonly inode: number }
  #state: Enrolment
  #gone: 'no' | 'undefined' | 'vanished' = 'no'
  #verifyAt = 0
  #absentSince: number | undefined
  #attempt = 0
  #wake = new AbortController()
  #resetRefused = false
  #running: Promise<void> = Promise.resolve()

  /** @param netns the pinned namespace */
  constructor(record: WorkloadRecord, netns: { readonly path: string; readonly inode: number }, deps: EnrolmentDeps) {
    this.#deps = deps
    this.#record = record
    this.#netns = netns
    this.#log = deps.log.child({ workload: `${record.definition.namespace}/${record.definition.name}` })
    this.#state = adopted(record)
  }

  get record(): WorkloadRecord {
    return { ...this.#record, captured: this.#state.kind === 'captured' }
  }

  get state(): Enrolment {
    return this.#state
  }

  get gone(): boolean {
    return this.#gone !== 'no'
  }

  /** What the daemon is told; undefined where it need not serve. */
  get local(): LocalWorkload | undefined {
    return isServed(this.#state) ? this.#local() : undefined
  }

  /** Resolves when the workload has left for good, or after `close`. */
  start(): Promise<void> {
    this.#running = this.#run()
    return this.#running
  }

  /** Something that decides may have changed: look again now. */
  wake(): void {
    this.#wake.abort()
  }

  /** The same instance with other labels, ports, addresses or resolvers. */
  redefine(definition: DiscoveredWorkload): void {
    this.#record = { ...this.#record, definition }
    this.wake()
  }

  /** It does not run any more (`vanished`), or runs on but is not of the mesh any more (`undefined`). */
  retire(how: 'undefined' | 'vanished'): void {
    this.#gone = how
    this.wake()
  }

  /** Stops working on it; what is in place stays in place. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.wake()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController()
      const action = this.#next()
      if (action.kind === 'rest') {
        if (this.gone && this.#state.kind === 'plain') return
        await this.#rest(action.until)
      } else await this.#attemptAction(action)
    }
  }

  #next(): Action {
    const { daemon, mesh, clock } = this.#deps
    return nextAction(this.#state, {
      wanted: this.#wanted(),
      serving: daemon.serving(this.#local()),
      protocol: this.#gone === 'vanished' ? undefined : this.#compiled?.protocol,
      connected: mesh.connected,
      now: clock(),
      verifyAt: this.#mustReset() ? 0 : this.#verifyAt,
    })
  }

  #wanted(): Wanted {
    const { model, mesh, timing, clock } = this.#deps
    const compiled = this.#compiled
    if (compiled !== undefined) this.#absentSince = undefined
    else this.#absentSince ??= clock()
    return wantedOf({
      gone: this.gone,
      modelKnown: model.known,
      enrolled: compiled?.enrolled,
      refused: mesh.refused(this.#record.uid),
      absentMs: clock() - (this.#absentSince ?? clock()),
      absenceGraceMs: timing.absenceGraceMs,
    })
  }

  get #compiled(): Workload | undefined {
    return this.#deps.model.workload(this.#record.uid)
  }

  async #rest(until: number | undefined): Promise<void> {
    const { timing, clock } = this.#deps
    const graceEnds = this.#absentSince === undefined ? undefined : this.#absentSince + timing.absenceGraceMs
    const ends = [until, graceEnds].filter((end) => end !== undefined && end > clock()) as number[]
    const pauseMs = ends.length === 0 ? timing.verifyMs : Math.min(...ends) - clock()
    await sleep(Math.max(1, pauseMs), AbortSignal.any([this.#stop.signal, this.#wake.signal])).catch(() => {})
  }

  async #attemptAction(action: Exclude<Action, { kind: 'rest' }>): Promise<void> {
    const { timing } = this.#deps
    try {
      await this.#perform(action.kind)
      this.#attempt = 0
    } catch (error: unknown) {
      if (this.#stop.signal.aborted) return
      this.#attempt += 1
      if (this.#gone === 'vanished' && this.#attempt >= attemptsOnVanished) {
        this.#log.debug({ err: error, action: action.kind }, 'the namespace has ended, its redirection with it')
        if (action.kind === 'undivert') return await this.#linger()
        if (action.kind === 'look' || action.kind === 'restore') return await this.#restored()
      }
      const delayMs = backoff(this.#attempt - 1, { baseMs: timing.retryBaseMs, maxMs: timing.retryMaxMs })
      const { code, message } = asMeshError(error, 'REDIRECT_FAILED')
      this.#log.error({ code, action: action.kind, attempt: this.#attempt, delayMs }, message)
      // not cut short by news of the mesh, which may come every second
      await sleep(delayMs, this.#stop.signal).catch(() => {})
    }
  }

  async #perform(kind: Exclude<Action['kind'], 'rest'>): Promise<void> {
    const { daemon, timing, clock } = this.#deps
    switch (kind) {
      case 'offer':
        return this.#enter({ kind: 'offered' })
      case 'serve':
        await daemon.add(this.#local())
        this.#log.info('the daemon listens')
        return
      case 'install':
        return this.#install()
      case 'verify':
        return this.#verify()
      case 'release':
        return this.#enter({ kind: 'releasing', until: clock() + timing.releaseMs })
      case 'recapture':
        return this.#enter({ kind: 'captured', bypassing: undefined })
      case 'undivert':
        return this.#undivert()
      case 'redivert':
        return this.#enter({ kind: 'redirecting' })
      case 'withdraw':
        return this.#withdraw()
      case 'look':
        return this.#look()
      case 'restore':
        return this.#restore()
    }
  }

  async #install(): Promise<void> {
    if (this.#state.kind === 'offered') await this.#enter({ kind: 'redirecting' })
    const changes = await this.#apply()
    const bypassing = await this.#deps.connections.bypassing(this.#netns.path)
    this.#verifyAt = this.#deps.clock() + this.#deps.timing.verifyMs
    this.#log.info({ changes: changes.length, uncaptured: bypassing.size }, 'captured')
    await this.#enter({ kind: 'captured', bypassing })
    await this.#resetBypassing(bypassing)
  }

  #apply(): Promise<readonly string[]> {
    return this.#deps.redirector.apply(this.#target(), this.#record.redirect, async (redirect) => {
      this.#record = { ...this.#record, redirect }
      await this.#deps.changed()
    })
  }

  async #verify(): Promise<void> {
    if (this.#state.kind !== 'captured') return
    const { connections, clock, timing } = this.#deps
    // the next check is due however this one ends
    this.#verifyAt = clock() + timing.verifyMs
    const changes = await this.#apply()
    if (changes.length > 0) this.#log.warn({ changes }, 'the redirection had been changed by somebody: repaired')
    const before = this.#state.bypassing
    if (before !== undefined && before.size === 0) return
    const present = await connections.bypassing(this.#netns.path)
    const bypassing = before === undefined ? present : new Set([...present].filter((key) => before.has(key)))
    if (this.#state.kind !== 'captured') return
    this.#state = { kind: 'captured', bypassing }
    if (bypassing.size !== before?.size) await this.#deps.changed()
    await this.#resetBypassing(bypassing)
  }

  #victims(bypassing: ReadonlySet<string>): ReadonlySet<string> {
    const mode = this.#compiled?.peerAuthentication
    return new Set([...bypassing].filter((key) => mode !== undefined && isStrict(mode, key)))
  }

  #mustReset(): boolean {
    const bypassing = this.#state.kind === 'captured' ? this.#state.bypassing : undefined
    return bypassing !== undefined && !this.#resetRefused && this.#victims(bypassing).size > 0
  }

  /** STRICT means that nothing goes on outside the tunnel, not even what is older than the capture. */
  async #resetBypassing(bypassing: ReadonlySet<string>): Promise<void> {
    const victims = this.#victims(bypassing)
    if (victims.size === 0) return
    const { connections } = this.#deps
    const path = this.#netns.path
    await connections.reset(path, victims)
    const present = await connections.bypassing(path)
    const left = new Set([...bypassing].filter((key) => present.has(key)))
    const survivors = [...victims].filter((key) => left.has(key))
    this.#log.info({ reset: victims.size - survivors.length }, 'reset connections from before the capture: STRICT')
    if (survivors.length > 0 && !this.#resetRefused) {
      this.#resetRefused = true
      this.#log.warn(
        { connections: survivors.length },
        'this kernel cannot reset connections (CONFIG_INET_DIAG_DESTROY): restart the workload to end what bypasses the mesh',
      )
    }
    if (this.#state.kind === 'captured') await this.#enter({ kind: 'captured', bypassing: left })
  }

  async #undivert(): Promise<void> {
    if (this.#state.kind !== 'undiverting') await this.#enter({ kind: 'undiverting' })
    await this.#deps.redirector.undivert(this.#target())
    this.#log.info('not captured any more')
    await this.#linger()
  }

  /** What is gone has no peers that could not know: its namespace may be wanted by another workload. */
  #linger(): Promise<void> {
    return this.#enter({ kind: 'lingering', until: this.#after(this.#deps.timing.lingerMs) })
  }

  async #withdraw(): Promise<void> {
    if (this.#state.kind !== 'withdrawing') await this.#enter({ kind: 'withdrawing' })
    // a daemon that misses this is told by the state when it connects again
    await this.#deps.daemon.remove(this.#record.uid).catch((error: unknown) => {
      this.#log.warn({ err: error }, 'the daemon was not told to drain; it is when it connects again')
    })
    if (this.#record.redirect === undefined) return await this.#enter({ kind: 'plain' })
    const { clock, timing } = this.#deps
    await this.#enter({ kind: 'draining', until: this.#after(timing.drainMs), lookAt: clock() })
  }

  async #look(): Promise<void> {
    if (this.#state.kind !== 'draining') return
    const { clock, connections } = this.#deps
    const { until } = this.#state
    const held = clock() >= until ? 0 : await connections.held(this.#netns.path)
    // not written down: a restart looks again
    if (held > 0) this.#state = { kind: 'draining', until, lookAt: clock() + lookMs }
    else await this.#enter({ kind: 'restoring' })
  }

  async #restore(): Promise<void> {
    if (this.#state.kind !== 'restoring') await this.#enter({ kind: 'restoring' })
    await this.#deps.redirector.remove(this.#target(), this.#record.redirect)
    this.#log.info('the namespace is as it was')
    await this.#restored()
  }

  async #restored(): Promise<void> {
    const { redirect: _, ...rest } = this.#record
    this.#record = rest
    await this.#enter({ kind: 'plain' })
  }

  #after(ms: number): number {
    return this.#deps.clock() + (this.gone ? 0 : ms)
  }

  async #enter(state: Enrolment): Promise<void> {
    this.#log.debug({ from: this.#state.kind, to: state.kind }, 'enrolment')
    this.#state = state
    await this.#deps.changed()
  }

  #target(): RedirectTarget {
    const { namespace, name, ports } = this.#record.definition
    return {
      workload: `${namespace}/${name}`,
      netns: this.#netns.path,
      ports: Object.values(ports),
      vipRanges: this.#deps.model.vipRanges,
    }
  }

  #local(): LocalWorkload {
    const { uid, definition } = this.#record
    const { namespace, name, serviceAccount, addresses, nameservers } = definition
    const identity = formatIdentity({ trustDomain: this.#deps.model.trustDomain, namespace, serviceAccount })
    return { uid, namespace, name, identity, addresses, netns: this.#netns, nameservers }
  }
}

/** What an earlier agent left in place: rules are adopted as they are and checked, never taken away first. */
function adopted(record: WorkloadRecord): Enrolment {
  if (record.redirect === undefined) return { kind: 'plain' }
  return record.captured ? { kind: 'captured', bypassing: undefined } : { kind: 'redirecting' }
}

function isStrict(mode: PeerAuthenticationMode, key: string): boolean {
  const local = key.split(' ')[0] ?? ''
  const port = local.slice(local.lastIndexOf(':') + 1)
  return (mode.ports[port] ?? mode.mode) === 'STRICT'
}
