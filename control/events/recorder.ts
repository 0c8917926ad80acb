// Writes down what happens to objects and hosts as Events (core/v1), which `kubectl describe` and `culvert describe` show. The same thing
// again counts up; many things about one object come slowly. Called from wherever something happens; never waited for, never fails.
import { createHash } from 'node:crypto'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { ApiError } from '../api/errors.ts'
import type { Resources } from '../api/resources.ts'
import type { EventSubject, MeshEvent } from './event.ts'
import { EventLimits } from './limits.ts'

/** What of core/v1 Event is written. */
export interface StoredEvent extends MeshObject {
  readonly involvedObject: EventSubject
  readonly type: string
  readonly reason: string
  readonly message: string
  readonly source: { readonly component: string }
  readonly reportingComponent: string
  readonly reportingInstance: string
  readonly count: number
  readonly firstTimestamp: string
  readonly lastTimestamp: string
}

export interface EventRecorderOptions {
  readonly resources: Pick<Resources, 'create' | 'modify'>
  /** Undefined: nobody serves events; then they are only logged. */
  readonly kind: Kind | undefined
  /** Of this process. */
  readonly instance: string
  readonly log: Logger
  /** From an event to its write: what comes again meanwhile is one write. */
  readonly settleMs?: number
  /** Milliseconds since 1970. */
  readonly clock?: () => number
}

interface Pending {
  readonly event: MeshEvent
  readonly count: number
  readonly first: number
  readonly last: number
  readonly attempts: number
}

export const component = 'culvert-control'
const defaultSettleMs = 200
/** Events that wait for their turn; there are as many only where something is badly wrong, and then the log has them all. */
const maxPending = 1000
const maxAttempts = 5
const maxMessage = 1024

export class EventRecorder {
  readonly #options: EventRecorderOptions
  readonly #clock: () => number
  readonly #limits = new EventLimits()
  readonly #pending = new Map<string, Pending>()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: EventRecorderOptions) {
    this.#options = options
    this.#clock = options.clock ?? Date.now
  }

  record(event: MeshEvent): void {
    const { log, kind } = this.#options
    const { object, type, reason, message } = event
    const about = `${object.kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name}`
    log[kind === undefined ? 'info' : 'debug']({ about, type, reason }, message)
    if (kind === undefined || this.#closed) return
    const now = this.#clock()
    const told = this.#limits.similar(event, now)
    const key = eventName(told)
    const held = this.#pending.get(key)
    if (held === undefined && this.#pending.size >= maxPending) {
      log.warn({ about, type, reason }, `too many events wait to be written: ${message}`)
      return
    }
    const first = held?.first ?? now
    this.#pending.set(key, { event: told, count: (held?.count ?? 0) + 1, first, last: now, attempts: 0 })
    this.#arm()
  }

  /** Resolves once what may be written is written, or the store does not take it. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#writing = this.#writing.then(() => this.#flush())
    await this.#writing
  }

  #arm(): void {
    if (this.#closed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#writing = this.#writing.then(() => this.#flush())
    }, this.#options.settleMs ?? defaultSettleMs).unref()
  }

  async #flush(): Promise<void> {
    for (const [name, pending] of [...this.#pending]) {
      if (!this.#limits.admit(pending.event.object, this.#clock())) continue
      this.#pending.delete(name)
      if (await this.#write(name, pending)) continue
      // what came meanwhile is counted with it
      const newer = this.#pending.get(name)
      const attempts = pending.attempts + 1
      const both = {
        ...pending,
        count: pending.count + (newer?.count ?? 0),
        last: newer?.last ?? pending.last,
        attempts,
      }
      if (attempts < maxAttempts) this.#pending.set(name, both)
    }
    if (this.#pending.size > 0) this.#arm()
  }

  /** @returns false where it is worth another attempt */
  async #write(name: string, pending: Pending): Promise<boolean> {
    try {
      await this.#put(this.#options.kind!, name, pending)
      return true
    } catch (error: unknown) {
      if (error instanceof ApiError) {
        // its namespace is gone, or somebody else wrote just then
        if (error.reason === 'NotFound' || error.reason === 'Forbidden') return true
        if (error.reason === 'Conflict' || error.reason === 'AlreadyExists') return false
      }
      const { code, message } = asMeshError(error, 'STORE_FAILED')
      this.#options.log.debug({ code, event: name }, `an event could not be written: ${message}`)
      return false
    }
  }

  async #put(kind: Kind, name: string, { event, count, first, last }: Pending): Promise<void> {
    const { resources, instance } = this.#options
    const fresh = eventObject(name, event, { count, first, last, instance })
    try {
      await resources.modify(kind, fresh.metadata.namespace!, name, (old) => {
        const { count: before = 0, firstTimestamp } = old as StoredEvent
        const again = { count: before + count, firstTimestamp: firstTimestamp ?? fresh.firstTimestamp }
        return { ...old, ...fresh, ...again, metadata: old.metadata } as MeshObject
      })
    } catch (error: unknown) {
      if (!(error instanceof ApiError) || error.reason !== 'NotFound') throw error
      await resources.create(fresh)
    }
  }
}

/** The same for the same thing, so that it is counted up, whichever replica saw it. */
function eventName({ object, type, reason, message }: MeshEvent): string {
  const { apiVersion, kind, namespace, name, uid = '' } = object
  const text = JSON.stringify([apiVersion, kind, namespace, name, uid, type, reason, message])
  return `${name.slice(0, 200)}.${createHash('sha256').update(text).digest('hex').slice(0, 16)}`
}

function eventObject(
  name: string,
  { object, type, reason, message }: MeshEvent,
  { count, first, last, instance }: Pick<Pending, 'count' | 'first' | 'last'> & { readonly instance: string },
): StoredEvent {
  const { namespace, uid, ...subject } = object
  return {
    apiVersion: 'v1',
    kind: 'Event',
    // what has no namespace is told in the one that is always there, as Kubernetes does
    metadata: { name, namespace: namespace === '' ? 'default' : namespace },
    involvedObject: {
      ...subject,
      ...((namespace === '' ? {} : { namespace }) as { namespace: string }),
      ...(uid === undefined ? {} : { uid }),
    },
    type,
    reason,
    message: message.slice(0, maxMessage),
    source: { component },
    reportingComponent: component,
    reportingInstance: instance,
    count,
    firstTimestamp: timestamp(first),
    lastTimestamp: timestamp(last),
  }
}

function timestamp(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')
}
