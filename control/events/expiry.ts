// Deletes events that are an hour old, as Kubernetes does. Run by the leader; app.ts starts it.
import { sleep } from '../../core/base/deadline.ts'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { Resources } from '../api/resources.ts'

export interface EventExpiryOptions {
  readonly resources: Pick<Resources, 'list' | 'deleteAll'>
  readonly kind: Kind
  readonly log: Logger
  readonly lookMs?: number
  /** Milliseconds since 1970. */
  readonly clock?: () => number
}

const defaultLookMs = 60_000
const lifetimeMs = 60 * 60_000

/** Looks again and again until the signal. Never rejects. */
export async function expireEvents(options: EventExpiryOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await deleteExpired(options)
    } catch (error: unknown) {
      const { code, message } = asMeshError(error, 'STORE_FAILED')
      options.log.debug({ code }, `old events could not be deleted: ${message}`)
    }
    await sleep(options.lookMs ?? defaultLookMs, signal).catch(() => undefined)
  }
}

export async function deleteExpired({ resources, kind, clock = Date.now }: EventExpiryOptions): Promise<void> {
  const now = clock()
  const { items } = await resources.list(kind, undefined, (event) => now - lastTold(event) > lifetimeMs)
  await resources.deleteAll(kind, items)
}

/** When it happened last, in milliseconds since 1970: whoever wrote it may have used any of these fields. */
function lastTold(event: MeshObject): number {
  const { lastTimestamp, eventTime, series } = event as MeshObject & {
    readonly lastTimestamp?: string
    readonly eventTime?: string
    readonly series?: { readonly lastObservedTime?: string }
  }
  const times = [lastTimestamp, eventTime, series?.lastObservedTime, event.metadata.creationTimestamp]
  return Math.max(0, ...times.map((text) => Date.parse(text ?? '')).filter((time) => !Number.isNaN(time)))
}
