// What the main thread holds for its workers: model, local workloads, trust bundle and the identities that need certificates.
// Applies each message of the agent to itself and to all workers, and knows what a restart must bring back. Owned by app.ts.
import { deadline } from '../core/base/deadline.ts'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import type { LocalWorkload } from '../core/feed/handoff.ts'
import type { IssuedCertificate } from '../core/identity/certificate.ts'
import { Snapshot } from '../core/model/snapshot.ts'
import type { RefusedResource } from '../core/model/types.ts'
import type { Acknowledgement, StateMessage } from './agent-client.ts'
import type { PersistedState } from './state-file.ts'
import type { Applied, Operation, WorkerOperations, WorkerState } from './worker-messages.ts'

/** What it needs of the certificate cache. */
export interface CertificateKeeper {
  require(identity: string): void
  forget(identity: string): void
  /** Forgets every certificate that is not required. */
  forgetUnrequired(): void
  setBundle(pem: string): void
  get(identity: string): IssuedCertificate | undefined
  wait(identity: string, signal: AbortSignal): Promise<IssuedCertificate>
}

/** What it needs of the workers. */
export interface Askable {
  all<O extends Operation>(
    operation: O,
    request: WorkerOperations[O]['request'],
  ): Promise<readonly WorkerOperations[O]['answer'][]>
  some<O extends Operation>(
    operation: O,
    request: WorkerOperations[O]['request'],
  ): Promise<readonly WorkerOperations[O]['answer'][]>
}

/** Shorter than the agent's patience for an acknowledgement; it tries again. */
const certificateWaitMs = 2500

export interface HandoffStateDeps {
  readonly certificates: CertificateKeeper
  readonly workers: Askable
  /** Something that a restart must bring back has changed. */
  readonly onChange: () => void
  readonly log: Logger
}

export class HandoffState {
  readonly #deps: HandoffStateDeps
  readonly #workloads = new Map<string, LocalWorkload>()
  readonly #identities = new Set<string>()
  readonly snapshot = new Snapshot()
  #bundle: string | undefined
  #draining = false

  constructor(deps: HandoffStateDeps) {
    this.#deps = deps
  }

  get workloads(): readonly LocalWorkload[] {
    return [...this.#workloads.values()]
  }

  /** The certificates that local workloads need and that are there. */
  get certificates(): readonly IssuedCertificate[] {
    return [...this.#identities].flatMap((identity) => this.#deps.certificates.get(identity) ?? [])
  }

  /**
   * From now on only the model is followed, because live connections are still judged by it; workloads, certificates and what
   * is on disk belong to the daemon that takes over.
   */
  drain(): void {
    this.#draining = true
  }

  /** For a worker that starts; undefined before the first state, and once nothing is to be accepted any more. */
  workerState(): WorkerState | undefined {
    if (this.#bundle === undefined || this.#draining) return undefined
    return { delta: this.snapshot.toDelta(), workloads: this.workloads, certificates: this.certificates }
  }

  /** For the disk; undefined before the first state. */
  persisted(): PersistedState | undefined {
    if (this.#bundle === undefined) return undefined
    return { delta: this.snapshot.toDelta(), workloads: this.workloads, bundle: this.#bundle }
  }

  /** Applies one message of the agent. Throws where it cannot be applied as a whole; then nothing was acknowledged. */
  async apply(message: StateMessage): Promise<Acknowledgement> {
    if (this.#draining) return await this.#follow(message)
    const applied = await this.#apply(message)
    this.#deps.onChange()
    this.#report(applied)
    return applied
  }

  async #follow(message: StateMessage): Promise<Acknowledgement> {
    if (message.type !== 'state' && message.type !== 'delta') return merge([], [])
    const { delta } = message
    return merge(this.snapshot.apply(delta), await this.#deps.workers.some('delta', { delta }))
  }

  async #apply(message: StateMessage): Promise<Acknowledgement> {
    const { workers } = this.#deps
    switch (message.type) {
      case 'state': {
        const restored = await this.restore(message)
        const present = message.workloads.filter(({ uid }) => restored.failed[uid] === undefined)
        return { ...restored, failed: { ...restored.failed, ...(await this.#uncertified(present)) } }
      }
      case 'delta': {
        this.#needState()
        const refused = this.snapshot.apply(message.delta)
        return merge(refused, await workers.all('delta', { delta: message.delta }))
      }
      case 'bundle':
        this.#setBundle(message.bundle)
        return merge([], [])
      case 'workload-add':
        this.#needState()
        this.#workloads.set(message.workload.uid, message.workload)
        this.#requireIdentities()
        return await this.#add(message.workload)
      case 'workload-remove': {
        this.#workloads.delete(message.uid)
        const answers = await workers.all('workload-remove', { uid: message.uid })
        this.#requireIdentities()
        return merge([], answers)
      }
    }
  }

  async #add(workload: LocalWorkload): Promise<Acknowledgement> {
    const added = merge([], await this.#deps.workers.all('workload-add', { workload }))
    if (added.failed[workload.uid] !== undefined) return added
    return { ...added, failed: await this.#uncertified([workload]) }
  }

  /** Takes a whole state, of the agent or from disk. */
  async restore(state: PersistedState): Promise<Acknowledgement> {
    this.#setBundle(state.bundle)
    const refused = this.snapshot.apply(state.delta)
    this.#workloads.clear()
    for (const workload of state.workloads) this.#workloads.set(workload.uid, workload)
    this.#requireIdentities()
    this.#deps.certificates.forgetUnrequired()
    const request = { delta: state.delta, workloads: state.workloads, certificates: this.certificates }
    return merge(refused, await this.#deps.workers.all('state', request))
  }

  /** A new certificate, or one with a new bundle. */
  certificateChanged(certificate: IssuedCertificate): void {
    if (this.#identities.has(certificate.identity)) void this.#deps.workers.some('certificate', { certificate })
  }

  /** Throws IDENTITY_INVALID before anything else of the message is applied. */
  #setBundle(bundle: string): void {
    this.#deps.certificates.setBundle(bundle)
    this.#bundle = bundle
  }

  /**
   * The workloads among these that cannot present themselves yet, and why; they are not acknowledged as served. The agent would
   * capture an added one and tell its peers, whose tunnels would fail until the certificate is there, and it would have an older
   * daemon drain that has one.
   */
  async #uncertified(workloads: readonly LocalWorkload[]): Promise<Readonly<Record<string, string>>> {
    const limit = deadline(certificateWaitMs)
    const failures = workloads.map(async ({ uid, identity }) => {
      try {
        await this.#deps.certificates.wait(identity, limit)
        return []
      } catch (error: unknown) {
        const { message } = asMeshError(error, 'CERTIFICATE_UNAVAILABLE')
        return [[uid, `it has no certificate yet: ${message}`] as const]
      }
    })
    return Object.fromEntries((await Promise.all(failures)).flat())
  }

  #needState(): void {
    if (this.#bundle === undefined) throw new MeshError('FEED_PROTOCOL', 'the agent sent a change before the state')
  }

  #requireIdentities(): void {
    const { certificates, workers, log } = this.#deps
    const needed = new Set(this.workloads.map(({ identity }) => identity))
    for (const identity of this.#identities) {
      if (needed.has(identity)) continue
      this.#identities.delete(identity)
      certificates.forget(identity)
      void workers.some('certificate-forget', { identity })
    }
    for (const identity of needed) {
      if (this.#identities.has(identity)) continue
      try {
        certificates.require(identity)
        this.#identities.add(identity)
      } catch (error: unknown) {
        log.error({ err: error, identity }, 'a local workload has an identity that is none')
      }
    }
  }

  #report({ refused, failed }: Acknowledgement): void {
    const { log } = this.#deps
    for (const { kind, key, reason } of refused) log.error({ kind, key, reason }, 'a resource was refused')
    for (const [workload, reason] of Object.entries(failed))
      log.error({ workload, reason }, 'a workload cannot be served')
  }
}

/** One answer of all workers. Refusals are the same in each; a workload that fails in one has failed. */
function merge(refused: readonly RefusedResource[], answers: readonly Applied[]): Acknowledgement {
  return { refused, failed: Object.assign({}, ...answers.map(({ failed }) => failed)) as Record<string, string> }
}
