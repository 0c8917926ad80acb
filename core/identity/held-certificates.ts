// The certificates of one data plane, as they are handed over: TLS contexts by identity, and waiting for one that is on its way. Keys
// stay in memory here; CertificateCache makes, renews and stores them. Owned by each data worker of a daemon and by a waypoint.
import type { CancelSignal } from '../base/cancel.ts'
import { abortable, deadline } from '../base/deadline.ts'
import { MeshError } from '../base/errors.ts'
import type { IssuedCertificate } from './certificate.ts'
import { parseIdentity } from './spiffe.ts'
import { TlsContexts, type TlsCredentials } from './tls.ts'

/** A certificate that was just asked for comes within this, or the control plane is away. */
const waitMs = 5000

export class Certificates {
  readonly #clock: () => number
  readonly #contexts = new TlsContexts()
  readonly #held = new Map<string, IssuedCertificate>()
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>()

  /** @param clock milliseconds since the epoch */
  constructor(clock: () => number) {
    this.#clock = clock
  }

  /**
   * A new certificate, or the same one with a new trust bundle. Says which of them differ from what was held. Throws where key,
   * chain or bundle do not load.
   */
  set(certificate: IssuedCertificate): { readonly renewed: boolean; readonly trust: boolean } {
    const before = this.#held.get(certificate.identity)
    this.#contexts.get(certificate)
    this.#held.set(certificate.identity, certificate)
    this.#waiting.get(certificate.identity)?.resolve()
    this.#waiting.delete(certificate.identity)
    return {
      renewed: before !== undefined && before.chainPem !== certificate.chainPem,
      trust: before !== undefined && before.bundlePem !== certificate.bundlePem,
    }
  }

  forget(identity: string): void {
    this.#held.delete(identity)
    this.#contexts.forget(identity)
  }

  /** The context to present `identity` with; undefined where there is no certificate that is valid now. */
  context(identity: string): TlsCredentials | undefined {
    const certificate = this.#held.get(identity)
    if (certificate === undefined || this.#clock() >= certificate.notAfter) return undefined
    return this.#contexts.get(certificate)
  }

  /**
   * The context of a local workload's tunnel server. Without a server name the listener's address tells the workload; a name
   * must be this workload's own, `<sa>.<ns>.<trust-domain>`.
   */
  serverContext(identity: string, serverName: string | undefined): TlsCredentials | undefined {
    if (serverName !== undefined && serverName.toLowerCase() !== serverNameOf(identity)) return undefined
    return this.context(identity)
  }

  /** Resolves once `identity` can be presented. Rejects with CERTIFICATE_UNAVAILABLE when `signal` aborts, or in time. */
  async wait(identity: string, outer: CancelSignal): Promise<void> {
    if (this.context(identity) !== undefined) return
    const signal = deadline(waitMs, outer)
    while (this.context(identity) === undefined) {
      let waiting = this.#waiting.get(identity)
      if (waiting === undefined) {
        waiting = Promise.withResolvers<void>()
        this.#waiting.set(identity, waiting)
      }
      await abortable(waiting.promise, signal, () => unavailable(identity))
    }
  }
}

function unavailable(identity: string): MeshError {
  const text = `no valid certificate for ${identity}: does the control plane answer, and may this host have this identity?`
  return new MeshError('CERTIFICATE_UNAVAILABLE', text)
}

/** The TLS server name of an identity. */
export function serverNameOf(identity: string): string {
  const { trustDomain, namespace, serviceAccount } = parseIdentity(identity)
  return `${serviceAccount}.${namespace}.${trustDomain}`
}
