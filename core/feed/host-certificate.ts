// The host's own identity towards the control plane: key, certificate chain and trust bundle in
// <state-dir>/host-certificate.json (0600). Made by joining (join.ts), renewed over the feed at half-life, handed to
// the feed client at every connect.
import { join } from 'node:path'
import { backoff, sleep } from '../base/deadline.ts'
import { asMeshError, MeshError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { readPrivate, writePrivate } from '../base/private-file.ts'
import { checkIssued, type IssuedCertificate, parseCertificates } from '../identity/certificate.ts'
import { createCsr, createKeyPair } from '../identity/csr.ts'
import { hostIdentity } from '../identity/spiffe.ts'

export interface HostCredentials {
  readonly host: string
  readonly trustDomain: string
  readonly key: string
  readonly chain: string
  readonly bundle: string
}

/** Signs a request for the host's own certificate; the feed client's `requestCertificate('node', …)`. */
export type RequestCertificate = (
  csr: string,
  signal: AbortSignal,
) => Promise<{ readonly chain: string; readonly bundle: string }>

const retry = { baseMs: 1000, maxMs: 60_000 } as const

export class HostCertificate {
  readonly #file: string
  readonly #log: Logger
  readonly #clock: () => number
  #current: HostCredentials
  #issued: IssuedCertificate

  private constructor(file: string, log: Logger, clock: () => number, current: HostCredentials, now: number) {
    this.#file = file
    this.#log = log
    this.#clock = clock
    this.#current = current
    this.#issued = checkIssued(parts(current), now)
  }

  /**
   * The certificate on disk, undefined where there is none, it has expired or is another host's. Throws
   * IDENTITY_INVALID where the file holds something else than a certificate of this host.
   */
  static async load(
    directory: string,
    host: string,
    log: Logger,
    clock: () => number = Date.now,
  ): Promise<HostCertificate | undefined> {
    const file = fileIn(directory)
    const text = await readPrivate(file)
    if (text === undefined) return undefined
    try {
      const credentials = JSON.parse(text) as HostCredentials
      if (credentials.host !== host) {
        throw new MeshError('IDENTITY_INVALID', `it is the certificate of host ${credentials.host}, not of ${host}`)
      }
      return new HostCertificate(file, log, clock, credentials, clock())
    } catch (error: unknown) {
      const reason = error instanceof Error ? error.message : String(error)
      log.error({ file }, `the host certificate cannot be used: ${reason}; the host must join again with a new token`)
      return undefined
    }
  }

  /** Checks and stores what joining brought. Throws IDENTITY_INVALID. */
  static async adopt(
    directory: string,
    credentials: HostCredentials,
    log: Logger,
    clock: () => number = Date.now,
  ): Promise<HostCertificate> {
    const adopted = new HostCertificate(fileIn(directory), log, clock, credentials, clock())
    await writePrivate(adopted.#file, JSON.stringify(credentials))
    return adopted
  }

  get credentials(): HostCredentials {
    return this.#current
  }

  /** Half of the lifetime is over then. */
  get renewAt(): number {
    return (this.#issued.notBefore + this.#issued.notAfter) / 2
  }

  get notAfter(): number {
    return this.#issued.notAfter
  }

  /** A new trust bundle from the control plane; ignored where our own certificate would not chain to it. */
  async setBundle(bundle: string): Promise<void> {
    if (bundle === this.#current.bundle) return
    const next = { ...this.#current, bundle }
    try {
      parseCertificates(bundle)
      this.#issued = checkIssued(parts(next), this.#clock())
    } catch (error: unknown) {
      this.#log.warn({ err: error }, 'the host certificate does not chain to the new trust bundle: keeping the old one')
      return
    }
    await this.#store(next)
  }

  /** Renews now: a new key, signed over the feed. Throws what `request` throws, or IDENTITY_INVALID. */
  async renew(request: RequestCertificate, signal: AbortSignal): Promise<void> {
    const { trustDomain, host } = this.#current
    const { privateKey, pem } = createKeyPair()
    const { chain, bundle } = await request(createCsr(privateKey, hostIdentity(trustDomain, host)), signal)
    const next = { host, trustDomain, key: pem, chain, bundle }
    this.#issued = checkIssued(parts(next), this.#clock())
    await this.#store(next)
    this.#log.info({ notAfter: new Date(this.#issued.notAfter).toISOString() }, 'renewed the host certificate')
  }

  /** Keeps renewing at half-life until `signal` aborts; on failure the valid one stays and it is tried again. */
  async keepFresh(request: RequestCertificate, renewed: () => void, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; ) {
      const lifetime = this.#issued.notAfter - this.#issued.notBefore
      const limits = { baseMs: Math.min(retry.baseMs, lifetime / 20), maxMs: Math.min(retry.maxMs, lifetime / 8) }
      const dueMs = attempt === 0 ? this.renewAt - this.#clock() : backoff(attempt - 1, limits)
      try {
        await sleep(Math.max(dueMs, 0), signal)
        await this.renew(request, signal)
        attempt = 0
        renewed()
      } catch (error: unknown) {
        if (signal.aborted) return
        attempt += 1
        const { code, message } = asMeshError(error, 'CERTIFICATE_UNAVAILABLE')
        const until = new Date(this.#issued.notAfter).toISOString()
        this.#log.warn({ code, attempt }, `could not renew the host certificate (valid until ${until}): ${message}`)
      }
    }
  }

  async #store(next: HostCredentials): Promise<void> {
    this.#current = next
    await writePrivate(this.#file, JSON.stringify(next))
  }
}

function fileIn(directory: string): string {
  return join(directory, 'host-certificate.json')
}

function parts(credentials: HostCredentials) {
  const { host, trustDomain, key, chain, bundle } = credentials
  return { identity: hostIdentity(trustDomain, host), keyPem: key, chainPem: chain, bundlePem: bundle }
}
