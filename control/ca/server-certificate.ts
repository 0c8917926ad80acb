// The certificate of one TLS server of the control plane, renewed at half of its life without a restart of the server.
import type { Logger } from '../../core/base/log.ts'
import type { Authority } from './authority.ts'
import type { LeafNames } from './x509.ts'

const longestTimerMs = 2 ** 31 - 1
const retryMs = 10_000

export interface ServerKeyPair {
  readonly key: string
  /** Certificate chain, PEM. */
  readonly cert: string
}

export interface ServerCertificateOptions {
  readonly authority: Authority
  readonly names: LeafNames
  readonly lifetimeMs: number
  readonly log: Logger
  readonly clock?: () => number
}

export class ServerCertificate {
  readonly #options: ServerCertificateOptions
  readonly #listeners = new Set<(pair: ServerKeyPair) => void>()
  #pair: ServerKeyPair
  #timer: NodeJS.Timeout | undefined

  private constructor(options: ServerCertificateOptions, pair: ServerKeyPair, renewInMs: number) {
    this.#options = options
    this.#pair = pair
    this.#schedule(renewInMs)
  }

  static async issue(options: ServerCertificateOptions): Promise<ServerCertificate> {
    const { pair, renewInMs } = await issue(options)
    return new ServerCertificate(options, pair, renewInMs)
  }

  get current(): ServerKeyPair {
    return this.#pair
  }

  /** Calls `listener` after each renewal, usually with `server.setSecureContext`. */
  onRenewal(listener: (pair: ServerKeyPair) => void): void {
    this.#listeners.add(listener)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#listeners.clear()
  }

  #schedule(ms: number): void {
    this.#timer = setTimeout(() => void this.#renew(), Math.min(longestTimerMs, Math.max(1000, ms)))
    this.#timer.unref()
  }

  async #renew(): Promise<void> {
    try {
      const { pair, renewInMs } = await issue(this.#options)
      this.#pair = pair
      for (const listener of this.#listeners) listener(pair)
      this.#schedule(renewInMs)
    } catch (error: unknown) {
      this.#options.log.error({ err: error }, 'a server certificate could not be renewed; the old one is kept')
      this.#schedule(retryMs)
    }
  }
}

async function issue(
  options: ServerCertificateOptions,
): Promise<{ readonly pair: ServerKeyPair; readonly renewInMs: number }> {
  const issued = await options.authority.issueServer(options.names, options.lifetimeMs)
  const renewInMs = (issued.notAfter - (options.clock ?? Date.now)()) / 2
  return { pair: { key: issued.key, cert: issued.chain }, renewInMs }
}
