// Which version each host has in force that carries workloads: of connected hosts by their session, of others by what they said last.
// The status writer asks.
import type { EntryIndex } from '../entries.ts'
import type { SessionStatus } from '../feed/session.ts'
import type { HostVersion } from './programmed.ts'

export interface AcknowledgedOptions {
  readonly entries: Pick<EntryIndex, 'hosts'>
  readonly session: (host: string) => SessionStatus | undefined
  readonly epoch: () => string
}

export class Acknowledged {
  readonly #options: AcknowledgedOptions
  /** Last words of hosts, for when they are away. */
  readonly #last = new Map<string, { readonly epoch: string; readonly version: number }>()

  constructor(options: AcknowledgedOptions) {
    this.#options = options
  }

  get hosts(): readonly HostVersion[] {
    const { entries, session, epoch } = this.#options
    const current = epoch()
    return entries.hosts().map((host) => {
      const status = session(host)
      if (status === undefined) {
        const last = this.#last.get(host)
        return { host, version: last?.epoch === current ? last.version : 0, connected: false, refused: [] }
      }
      const version = status.epoch === current ? status.ackedVersion : 0
      this.#last.set(host, { epoch: current, version })
      return { host, version, connected: true, refused: status.refusedResources }
    })
  }
}
