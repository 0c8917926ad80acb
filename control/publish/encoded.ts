// Deltas as they go over the wire, encoded once for all subscribers of one view that need the same one. Used by the feed's sessions.
import { pack, packFromBytes } from '../../core/feed/packing.ts'
import { type View, views } from '../../core/feed/views.ts'
import type { CompiledDelta } from '../../core/model/types.ts'
import type { DeltaLog } from './delta-log.ts'

/** The full state of an earlier version serves until this share of it has changed. */
const staleShare = 0.1
/** Hosts that fall behind hold few different versions. */
const deltasKept = 64

/** One `delta` message. */
export class EncodedDelta {
  readonly epoch: string
  readonly version: number
  readonly resources: number
  readonly text: Buffer
  #packed: Buffer | undefined

  constructor(delta: CompiledDelta) {
    this.epoch = delta.epoch
    this.version = delta.version
    this.resources = delta.upserts.length
    this.text = Buffer.from(JSON.stringify({ type: 'delta', delta }))
  }

  /** Undefined for a message that is too small for it. */
  get packed(): Buffer | undefined {
    if (this.text.length >= packFromBytes) this.#packed ??= pack(this.text)
    return this.#packed
  }
}

export class EncodedDeltas {
  readonly #log: DeltaLog
  readonly #view: View
  readonly #since = new Map<number, EncodedDelta>()
  #encodedAt: { readonly epoch: string; readonly version: number } = { epoch: '', version: 0 }
  #full: EncodedDelta | undefined

  constructor(log: DeltaLog, view: View) {
    this.#log = log
    this.#view = view
  }

  /** Everything, as it is or recently was: what changed since follows as a delta. */
  full(): EncodedDelta {
    const full = this.#full
    if (full === undefined || full.epoch !== this.#log.epochOf(this.#view) || !this.#isCurrentEnough(full)) {
      this.#full = new EncodedDelta(this.#log.full(this.#view))
    }
    return this.#full!
  }

  /** Undefined where only digests help. */
  since(version: number): EncodedDelta | undefined {
    const { epoch, version: current } = this.#log
    if (this.#encodedAt.epoch !== epoch || this.#encodedAt.version !== current) {
      this.#since.clear()
      this.#encodedAt = { epoch, version: current }
    }
    const known = this.#since.get(version)
    if (known !== undefined) return known
    const delta = this.#log.since(version, this.#view)
    if (delta === undefined) return undefined
    const encoded = new EncodedDelta(delta)
    if (this.#since.size < deltasKept) this.#since.set(version, encoded)
    return encoded
  }

  #isCurrentEnough(full: EncodedDelta): boolean {
    if (this.#log.since(full.version, this.#view) === undefined) return false
    return this.#log.changesSince(full.version) <= staleShare * full.resources
  }
}

export type EncodedViews = Readonly<Record<View, EncodedDeltas>>

export function encodedViews(log: DeltaLog): EncodedViews {
  return Object.fromEntries(views.map((view) => [view, new EncodedDeltas(log, view)])) as Record<View, EncodedDeltas>
}
