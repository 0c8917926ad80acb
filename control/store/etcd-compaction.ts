// Keeps the history of etcd to a window. Every replica looks after its own writes; the one that manages to write the new limit
// down compacts, so it happens once.
import type { Logger } from '../../core/base/log.ts'
import type { EtcdClient } from './etcd-client.ts'
import type { EtcdKeys } from './etcd-keys.ts'
import type { EtcdWriter } from './etcd-write.ts'

export interface EtcdCompactionOptions {
  readonly client: EtcdClient
  readonly keys: EtcdKeys
  readonly writer: () => EtcdWriter
  /** Revisions that stay; a quarter more is kept between two compactions. Infinity leaves compaction to etcd. */
  readonly historyLimit: number
  readonly log?: Logger | undefined
}

/** After a failure this many writes pass before the next try. */
const retryWrites = 50

export class EtcdCompaction {
  readonly #options: EtcdCompactionOptions
  #limit = 0
  #running: Promise<void> | undefined

  constructor(options: EtcdCompactionOptions) {
    this.#options = options
  }

  /** After each write of this process. Returns at once. */
  written(revision: number): void {
    const { historyLimit, log } = this.#options
    if (this.#running !== undefined || revision - this.#limit <= historyLimit * 1.25) return
    this.#running = this.#compact(revision - historyLimit)
      .catch((error: unknown) => {
        this.#limit = revision - historyLimit * 1.25 + retryWrites
        if (!this.#options.client.closing.aborted)
          log?.warn({ err: error }, 'the history of etcd could not be compacted')
      })
      .finally(() => {
        this.#running = undefined
      })
  }

  /** Waits for a compaction that is under way. */
  async settle(): Promise<void> {
    await this.#running
  }

  async #compact(limit: number): Promise<void> {
    const { client, keys, writer } = this.#options
    const entry = await writer().read(keys.compaction)
    const last = typeof entry?.value === 'number' ? entry.value : 0
    this.#limit = last
    if (last >= limit) return
    const write = { key: keys.compaction, value: { json: limit }, revision: entry?.revision ?? 0 }
    const written = await writer().write([write])
    if (!written.done) return
    this.#limit = limit
    await client.call('/kv/compaction', { revision: String(limit) }).catch((error: unknown) => {
      // somebody has compacted further
      if ((error as { code?: unknown }).code !== 'RESOURCE_CONFLICT') throw error
    })
  }
}
