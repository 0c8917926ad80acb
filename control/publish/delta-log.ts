// The compiled model with its history: what changed since a version, or differs from what an agent holds. In memory. A version is
// the store's revision at which the compiled model changed last, and within an epoch every control plane compiles the same at the
// same revision: an agent may go on at another replica, or after a restart. Publisher writes it, the feed's sessions read it, each in
// the view of its subscriber.
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { epochIn, isSeen, type View } from '../../core/feed/views.ts'
import { digestOf } from '../../core/model/digest.ts'
import type { CompiledDelta, CompiledKey, CompiledResource, Service } from '../../core/model/types.ts'
import { inSendingOrder } from '../compile/sending-order.ts'

interface Held {
  readonly resource: CompiledResource
  readonly changedAt: number
  digest?: string
}

interface Gone extends CompiledKey {
  readonly changedAt: number
}

/** In the order of versions; only the last entry of a key counts. */
interface Change {
  readonly version: number
  readonly key: string
  /** Milliseconds since 1970. */
  readonly at: number
}

const defaultRemovalsKept = 10_000
const gapsKept = 16
/** Changes that are out of date may be this many, and as many again as there are resources. */
const staleChanges = 1024

export class DeltaLog {
  readonly #baseEpoch: string
  readonly #removalsKept: number
  readonly #clock: () => number
  readonly #held = new Map<string, Held>()
  /** In the order of their removal. */
  readonly #gone = new Map<string, Gone>()
  #changes: Change[] = []
  /** Revisions between these two were never looked at one by one: what changed and changed back there is not known. */
  #gaps: { readonly after: number; readonly before: number }[] = []
  #epoch: string
  #version = 0
  #revision = 0
  /** Nobody can resume from before this version. */
  #oldest = Number.POSITIVE_INFINITY
  readonly #summaries = new Map<View, { readonly epoch: string; readonly version: number; readonly digest: string }>()

  constructor(epoch: string, removalsKept = defaultRemovalsKept, clock: () => number = Date.now) {
    this.#baseEpoch = epoch
    this.#epoch = epoch
    this.#removalsKept = removalsKept
    this.#clock = clock
  }

  /** Of the mesh. Subscribers are told that of their view. */
  get epoch(): string {
    return this.#epoch
  }

  epochOf(view: View): string {
    return epochIn(view, this.#epoch)
  }

  /** The revision of the last change; 0 until the first state. */
  get version(): number {
    return this.#version
  }

  /** The revision up to which the store is reflected: not less than `version`. */
  get revision(): number {
    return this.#revision
  }

  /**
   * Takes the complete state at a revision: the first one, or one after a time in which changes were missed. Returns whether there
   * is a new version.
   */
  replace(resources: readonly CompiledResource[], revision: number): boolean {
    if (revision < this.#revision) this.#startOver()
    else if (this.#version > 0) this.#gap(revision)
    const first = this.#version === 0
    const keys = new Set(resources.map(keyText))
    const removes = [...this.#held].flatMap(([key, { resource }]) => (keys.has(key) ? [] : [resource]))
    const changed = this.#put({ upserts: resources, removes }, Math.max(1, revision))
    if (first) this.#oldest = Math.max(1, revision)
    if (first) this.#version = this.#oldest
    return changed || first
  }

  /** Takes what one revision changed, which may be nothing. Returns whether there is a new version. */
  update(change: Pick<CompiledDelta, 'upserts' | 'removes'>, revision: number): boolean {
    return this.#put(change, revision)
  }

  /** @param key `namespace/hostname` */
  service(key: string): Service | undefined {
    const resource = this.#held.get(keyText({ kind: 'Service', key }))?.resource
    return resource?.kind === 'Service' ? resource.value : undefined
  }

  /** Everything. */
  full(view: View): CompiledDelta {
    const upserts = [...this.#held.values()].map(({ resource }) => resource)
    return this.#delta(view, true, upserts, [])
  }

  /**
   * What changed after `version`, which need not be one of this log's own; nothing for one that is current. Undefined where that is
   * not known any more, or not yet.
   */
  since(version: number, view: View): CompiledDelta | undefined {
    if (version > this.#revision || version < this.#oldest) return undefined
    if (this.#gaps.some(({ after, before }) => version > after && version < before)) return undefined
    if (version >= this.#version) return { ...this.nothing(view), version }
    const upserts: CompiledResource[] = []
    const removes: CompiledKey[] = []
    for (let index = this.#indexAfter(version); index < this.#changes.length; index++) {
      const change = this.#changes[index]!
      const held = this.#held.get(change.key)
      const gone = this.#gone.get(change.key)
      if (held?.changedAt === change.version) upserts.push(held.resource)
      else if (gone?.changedAt === change.version) removes.push({ kind: gone.kind, key: gone.key })
    }
    return this.#delta(view, false, upserts, removes)
  }

  /** How many resources `since` would send at most. */
  changesSince(version: number): number {
    return this.#changes.length - this.#indexAfter(version)
  }

  /** How many versions came after this one, as far as they are known. */
  versionsSince(version: number): number {
    const later = this.#changes.slice(this.#indexAfter(version)).map((change) => change.version)
    return Math.max(new Set(later).size, version < this.#version ? 1 : 0)
  }

  /**
   * When the first version after this one came, as far as it is known (milliseconds since 1970): whoever has this version is behind
   * since then. Undefined where none came.
   */
  changedAfter(version: number): number | undefined {
    return this.#changes[this.#indexAfter(version)]?.at
  }

  /** digestOf the digests of all resources of a view: whoever has the same holds this very state. */
  digestIn(view: View): string {
    const known = this.#summaries.get(view)
    if (known?.epoch === this.#epoch && known.version === this.#version) return known.digest
    const seen = [...this.#held].filter(([, { resource }]) => isSeen(resource.kind, view))
    const digest = digestOf(Object.fromEntries(seen.map(([key, held]) => [key, digestOfHeld(held)])))
    this.#summaries.set(view, { epoch: this.#epoch, version: this.#version, digest })
    return digest
  }

  /** Only says which version this is. */
  nothing(view: View): CompiledDelta {
    return this.#delta(view, false, [], [])
  }

  /** What makes a state with these digests (keyed `Kind/key`) into the current one; what the view does not show is removed. */
  difference(digests: Readonly<Record<string, string>>, view: View): CompiledDelta {
    const upserts: CompiledResource[] = []
    for (const [key, held] of this.#held) {
      if (!Object.hasOwn(digests, key) || digests[key] !== digestOfHeld(held)) upserts.push(held.resource)
    }
    const removes = Object.keys(digests).flatMap((key) => {
      const held = this.#held.get(key)
      return held !== undefined && isSeen(held.resource.kind, view) ? [] : [splitKey(key)]
    })
    return { ...this.#delta(view, false, upserts, []), removes }
  }

  #delta(
    view: View,
    full: boolean,
    upserts: readonly CompiledResource[],
    removes: readonly CompiledKey[],
  ): CompiledDelta {
    const seen = <Key extends CompiledKey>(keys: readonly Key[]) => keys.filter(({ kind }) => isSeen(kind, view))
    const [put, gone] = [inSendingOrder(seen(upserts)), seen(removes)]
    return { epoch: this.epochOf(view), version: this.#version, full, upserts: put, removes: gone }
  }

  #put({ upserts, removes }: Pick<CompiledDelta, 'upserts' | 'removes'>, version: number): boolean {
    const before = this.#changes.length
    const at = this.#clock()
    for (const resource of upserts) {
      const key = keyText(resource)
      if (isDeepStrictEqual(this.#held.get(key)?.resource.value, resource.value)) continue
      this.#held.set(key, { resource, changedAt: version })
      this.#gone.delete(key)
      this.#changes.push({ version, key, at })
    }
    for (const { kind, key: name } of removes) {
      const key = keyText({ kind, key: name })
      if (!this.#held.delete(key)) continue
      this.#gone.set(key, { kind, key: name, changedAt: version })
      this.#changes.push({ version, key, at })
    }
    this.#revision = Math.max(this.#revision, version)
    if (this.#changes.length === before) return false
    this.#version = version
    this.#forget()
    return true
  }

  /** The first index of a change after `version`. */
  #indexAfter(version: number): number {
    let low = 0
    let high = this.#changes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#changes[middle]!.version <= version) low = middle + 1
      else high = middle
    }
    return low
  }

  #forget(): void {
    for (const [key, { changedAt }] of this.#gone) {
      if (this.#gone.size <= this.#removalsKept) break
      this.#gone.delete(key)
      this.#oldest = Math.max(this.#oldest, changedAt)
    }
    if (this.#changes.length <= 2 * (this.#held.size + this.#gone.size) + staleChanges) return
    this.#changes = this.#changes.filter(({ key, version }) => {
      return (this.#held.get(key) ?? this.#gone.get(key))?.changedAt === version
    })
  }

  #gap(revision: number): void {
    this.#gaps.push({ after: this.#revision, before: revision })
    const forgotten = this.#gaps.length > gapsKept ? this.#gaps.shift() : undefined
    if (forgotten !== undefined) this.#oldest = Math.max(this.#oldest, forgotten.before)
  }

  /** The store has gone back, to a backup perhaps: its revisions will mean something else than they did. */
  #startOver(): void {
    this.#epoch = `${this.#baseEpoch}-${randomUUID()}`
    this.#gone.clear()
    this.#changes = []
    this.#gaps = []
    this.#held.clear()
    this.#version = 0
    this.#revision = 0
  }
}

function digestOfHeld(held: Held): string {
  held.digest ??= digestOf(held.resource.value)
  return held.digest
}

function keyText({ kind, key }: CompiledKey): string {
  return `${kind}/${key}`
}

/** A kind that is not ours goes back as it came: the agent removes what it holds. */
function splitKey(text: string): CompiledKey {
  const slash = text.indexOf('/')
  return { kind: text.slice(0, slash) as CompiledKey['kind'], key: text.slice(slash + 1) }
}
