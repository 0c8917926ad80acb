// A watch of etcd that goes on where it stopped when a member ends it, hangs or loses its cluster. Used for objects and records.
import { backoff, deadline, sleep } from '../../core/base/deadline.ts'
import { MeshError } from '../../core/base/errors.ts'
import type { EtcdClient } from './etcd-client.ts'
import type { KeyRange } from './etcd-keys.ts'
import { base64, revisionOf, type WatchMessage, type WireEvent } from './etcd-messages.ts'
import { EtcdFault } from './etcd-transport.ts'

export interface EtcdWatchRequest {
  readonly range: KeyRange
  /** Events after it. */
  readonly revision: number
  readonly previous: boolean
}

/** How often a member that sends nothing is asked whether it still belongs to a cluster: a quiet stream looks like a dead one. */
const pulseMs = 5000
/** A watch that nobody serves for this long fails; before, it looks for another member. */
const awayMs = 30_000
const openMs = 5000
const pauses = { baseMs: 50, maxMs: 2000 }

/**
 * Events in order, those of one message together, without end but `signal` or the client's close. Throws RESOURCE_CONFLICT where
 * the revision is compacted, STORE_FAILED where no member can be reached.
 */
export async function* watchRange(
  client: EtcdClient,
  request: EtcdWatchRequest,
  signal: AbortSignal,
): AsyncGenerator<readonly WireEvent[]> {
  const ends = AbortSignal.any([signal, client.closing])
  let revision = request.revision
  let failing: number | undefined
  for (let attempt = 0; !ends.aborted; attempt += 1) {
    const member = new Member(client, request.range, ends)
    try {
      for await (const result of member.messages({ ...request, revision })) {
        failing = undefined
        attempt = 0
        const { events } = result
        if (events.length === 0) continue
        yield events
        revision = Number(events.at(-1)?.kv.mod_revision ?? revision)
      }
    } catch (error: unknown) {
      if (ends.aborted) return
      if (!(error instanceof EtcdFault)) throw error
      client.failed(error, member.index)
      failing ??= performance.now()
      if (performance.now() - failing > awayMs) {
        throw new MeshError('STORE_FAILED', `etcd does not serve a watch: ${error.message}`, { cause: error })
      }
    } finally {
      member.leave()
    }
    await sleep(backoff(attempt, pauses), ends).catch(() => undefined)
  }
}

type WatchResult = NonNullable<WatchMessage['result']>

/** The stream of one member, while that member answers. */
class Member {
  index = 0
  readonly #client: EtcdClient
  readonly #key: string
  readonly #left = new AbortController()
  readonly #ends: AbortSignal
  readonly #signal: AbortSignal
  #pulse: NodeJS.Timeout | undefined

  constructor(client: EtcdClient, range: KeyRange, ends: AbortSignal) {
    this.#client = client
    this.#key = base64(range.start)
    this.#ends = ends
    this.#signal = AbortSignal.any([ends, this.#left.signal])
  }

  /** Fragments put together: one may end in the middle of a revision. */
  async *messages({
    range,
    revision,
    previous,
  }: EtcdWatchRequest): AsyncGenerator<{ readonly events: readonly WireEvent[] }> {
    const create = {
      key: this.#key,
      range_end: base64(range.end),
      start_revision: String(revision + 1),
      prev_kv: previous,
      fragment: true,
      progress_notify: true,
    }
    const opening = deadline(openMs)
    const onLate = (): void => this.leave()
    opening.addEventListener('abort', onLate)
    try {
      const { member, messages } = await this.#client.open('/watch', { create_request: create }, this.#signal)
      this.index = member
      let events: readonly WireEvent[] = []
      for await (const message of messages) {
        const result = resultOf(message as WatchMessage, revision)
        if (result.created === true) opening.removeEventListener('abort', onLate)
        if (result.created === true) this.#beat()
        events = [...events, ...(result.events ?? [])]
        if (result.fragment === true) continue
        yield { events }
        events = []
      }
      throw new EtcdFault('the member ended the watch', { sent: true })
    } finally {
      opening.removeEventListener('abort', onLate)
    }
  }

  leave(): void {
    clearTimeout(this.#pulse)
    this.#left.abort()
  }

  #beat(): void {
    this.#pulse = setTimeout(async () => {
      const alive = await this.#client.isAlive(this.index, this.#key, this.#ends)
      if (this.#signal.aborted) return
      if (alive) this.#beat()
      else this.leave()
    }, pulseMs)
    this.#pulse.unref()
  }
}

function resultOf(message: WatchMessage, revision: number): WatchResult {
  const { result, error } = message
  if (error !== undefined || result === undefined) {
    const grpcCode = error?.grpc_code
    const text = error?.message ?? 'a message without a result'
    throw new EtcdFault(text, { sent: true, ...(grpcCode === undefined ? {} : { grpcCode }) })
  }
  if (result.canceled !== true) return result
  if (result.compact_revision !== undefined) {
    const text = `revision ${revision} is not in the history any more (from ${result.compact_revision}): list again`
    throw new MeshError('RESOURCE_CONFLICT', text)
  }
  throw new EtcdFault(result.cancel_reason || `the watch was cancelled at ${revisionOf(result)}`, { sent: true })
}
