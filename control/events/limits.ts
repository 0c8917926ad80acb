// Keeps one object from filling the store with events: how often something may be written about it, and when many messages of one
// kind become one (client-go, `EventCorrelator`). Used by EventRecorder.
import type { EventSubject, MeshEvent } from './event.ts'

/** Writes about one object in a row, … */
const burst = 25
/** … and then one in this time; what waits is counted. */
const refillMs = 10_000
/** Different messages with one reason about one object within the window; further ones are told as one. */
const maxMessages = 10
const windowMs = 10 * 60_000
/** Objects that are remembered before those that have been quiet are looked for. */
const sweepFrom = 4096

interface Bucket {
  readonly tokens: number
  readonly at: number
}

interface Group {
  readonly messages: Set<string>
  readonly since: number
}

/** Times are milliseconds of one clock. */
export class EventLimits {
  readonly #buckets = new Map<string, Bucket>()
  readonly #groups = new Map<string, Group>()

  /** Whether something may be written about the object now. */
  admit(object: EventSubject, now: number): boolean {
    if (this.#buckets.size >= sweepFrom) this.#sweep(now)
    const key = subjectKey(object)
    const tokens = this.#tokens(this.#buckets.get(key), now)
    if (tokens < 1) return false
    this.#buckets.set(key, { tokens: tokens - 1, at: now })
    return true
  }

  /** The event, or, where there are many like it, one that stands for all of them. */
  similar(event: MeshEvent, now: number): MeshEvent {
    if (this.#groups.size >= sweepFrom) this.#sweep(now)
    const key = `${subjectKey(event.object)} ${event.type} ${event.reason}`
    const held = this.#groups.get(key)
    const group = held === undefined || now - held.since > windowMs ? { messages: new Set<string>(), since: now } : held
    this.#groups.set(key, group)
    if (group.messages.size < maxMessages) group.messages.add(event.message)
    if (group.messages.has(event.message)) return event
    return { ...event, message: `more than ${maxMessages} different ones within ten minutes; see the log` }
  }

  #tokens(bucket: Bucket | undefined, now: number): number {
    return bucket === undefined ? burst : Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs)
  }

  #sweep(now: number): void {
    for (const [key, bucket] of this.#buckets) if (this.#tokens(bucket, now) >= burst) this.#buckets.delete(key)
    for (const [key, { since }] of this.#groups) if (now - since > windowMs) this.#groups.delete(key)
  }
}

function subjectKey({ apiVersion, kind, namespace, name }: EventSubject): string {
  return `${apiVersion} ${kind} ${namespace}/${name}`
}
