// The compiled model with its history: what changed since a version, or differs from what an agent holds. In memory; a new
// process is a new epoch. Publisher writes it, the feed's sessions read it.
import { isDeepStrictEqual } from 'node:util'
import { digestOf } from '../../core/model/digest.ts'
import type { CompiledDelta, CompiledKey, CompiledResource } from '../../core/model/types.ts'

interface Held {
  readonly resource: CompiledResource
  readonly changedAt: number
  digest?: string
}

interface Gone extends CompiledKey {
  readonly removedAt: number
}

const defaultRemovalsKept = 10_000

export class DeltaLog {
  readonly epoch: string
  readonly #removalsKept: number
  readonly #held = new Map<string, Held>()
  /** In the order of their removal. */
  readonly #gone = new Map<string, Gone>()
  #version = 0
  /** Removals up to this version may be forgotten: nobody can resume from before it. */
  #forgotten = 0
  #cached: { readonly from: number; readonly delta: CompiledDelta } | undefined

  constructor(epoch: string, removalsKept = defaultRemovalsKept) {
    this.epoch = epoch
    this.#removalsKept = removalsKept
  }

  /** 0 until the first `update`. */
  get version(): number {
    return this.#version
  }

  /** Takes the complete compiled state. Returns whether it differs from the last one, which makes a new version. */
  update(resources: readonly CompiledResource[]): boolean {
    const version = this.#version + 1
    const keys = new Set<string>()
    let changed = this.#version === 0
    for (const resource of resources) {
      const key = keyText(resource)
      keys.add(key)
      const held = this.#held.get(key)
      if (held !== undefined && isDeepStrictEqual(held.resource.value, resource.value)) continue
      this.#held.set(key, { resource, changedAt: version })
      this.#gone.delete(key)
      changed = true
    }
    for (const [key, { resource }] of this.#held) {
      if (keys.has(key)) continue
      this.#held.delete(key)
      this.#gone.set(key, { kind: resource.kind, key: resource.key, removedAt: version })
      changed = true
    }
    if (!changed) return false
    this.#version = version
    this.#forget()
    this.#cached = undefined
    return true
  }

  /** Everything. */
  full(): CompiledDelta {
    return this.#delta(
      true,
      [...this.#held.values()].map(({ resource }) => resource),
      [],
    )
  }

  /** What changed after `version`; undefined where that is not known any more, or never was. */
  since(version: number): CompiledDelta | undefined {
    if (version > this.#version || version < this.#forgotten || version < 1) return undefined
    if (this.#cached?.from === version) return this.#cached.delta
    const upserts = [...this.#held.values()].filter(({ changedAt }) => changedAt > version)
    const removes = [...this.#gone.values()].filter(({ removedAt }) => removedAt > version)
    const delta = this.#delta(
      false,
      upserts.map(({ resource }) => resource),
      removes.map(({ kind, key }) => ({ kind, key })),
    )
    this.#cached = { from: version, delta }
    return delta
  }

  /** What makes a state with these digests (keyed `Kind/key`) into the current one. */
  difference(digests: Readonly<Record<string, string>>): CompiledDelta {
    const upserts: CompiledResource[] = []
    for (const [key, held] of this.#held) {
      held.digest ??= digestOf(held.resource.value)
      if (!Object.hasOwn(digests, key) || digests[key] !== held.digest) upserts.push(held.resource)
    }
    const removes = Object.keys(digests).flatMap((key) => (this.#held.has(key) ? [] : [splitKey(key)]))
    return this.#delta(false, upserts, removes)
  }

  #delta(full: boolean, upserts: readonly CompiledResource[], removes: readonly CompiledKey[]): CompiledDelta {
    return { epoch: this.epoch, version: this.#version, full, upserts, removes }
  }

  #forget(): void {
    for (const [key, { removedAt }] of this.#gone) {
      if (this.#gone.size <= this.#removalsKept) return
      this.#gone.delete(key)
      this.#forgotten = removedAt
    }
  }
}

function keyText({ kind, key }: CompiledKey): string {
  return `${kind}/${key}`
}

/** A kind that is not ours goes back as it came: the agent removes what it holds. */
function splitKey(text: string): CompiledKey {
  const slash = text.indexOf('/')
  return { kind: text.slice(0, slash) as CompiledKey['kind'], key: text.slice(slash + 1) }
}
