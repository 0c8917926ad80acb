// Which version each host has in force that carries workloads: of connected hosts by their session, of others by what they said last.
// The status writer asks.
import type { View } from '../../core/feed/views.ts'
import { type EntryIndex, gatewayOf, viewByEntries } from '../entries.ts'
import type { SessionStatus } from '../feed/session.ts'
import type { HostVersion } from './programmed.ts'

export interface AcknowledgedOptions {
  readonly entries: Pick<EntryIndex, 'hosts' | 'reportedBy'>
  readonly session: (host: string) => SessionStatus | undefined
  readonly epoch: () => string
}

interface Last {
  readonly epoch: string
  readonly version: number
  readonly view: View
}

export class Acknowledged {
  readonly #options: AcknowledgedOptions
  /** Last words of hosts, for when they are away. */
  readonly #last = new Map<string, Last>()

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
        const version = last?.epoch === current ? last.version : 0
        return { host, version, connected: false, refused: [], ...this.#served(host, last?.view) }
      }
      const version = status.epoch === current ? status.ackedVersion : 0
      const { view = 'agent', refusedResources: refused } = status
      this.#last.set(host, { epoch: current, version, view })
      return { host, version, connected: true, refused, ...this.#served(host, view) }
    })
  }

  #served(host: string, known: View | undefined): Pick<HostVersion, 'view' | 'gateways'> {
    if (known === 'agent') return { view: 'agent', gateways: nothing }
    const reported = this.#options.entries.reportedBy(host)
    const gateways = new Set(reported.flatMap((entry) => gatewayOf(entry) ?? []))
    return { view: known ?? viewByEntries(reported), gateways }
  }
}

const nothing: ReadonlySet<string> = new Set()
