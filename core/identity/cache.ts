// The certificates of this process: one per required identity, from disk at start, renewed at half-life, kept while renewal
// fails. The daemon's main thread owns one; the issuing itself is handed in (the agent carries the CSR to the control plane).
import { abortable, deadline } from '../base/deadline.ts'
import { asMeshError, MeshError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { checkIssued, type IssuedCertificate, type IssuedParts, parseCertificates } from './certificate.ts'
import { createCsr, createKeyPair } from './csr.ts'
import { delayUntil, issueTimeout, renewalTime, retryDelay } from './schedule.ts'
import { parseIdentity } from './spiffe.ts'
import { loadStored, removeStored, writeStored } from './stored.ts'

export interface CertificateCacheDeps {
  /** Owned by this cache alone; created with mode 0700. */
  readonly directory: string
  /** Has a CSR signed. `chain` is leaf first, `bundle` the roots, both PEM. */
  issue(
    identity: string,
    csr: string,
    signal: AbortSignal,
  ): Promise<{ readonly chain: string; readonly bundle: string }>
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  readonly random?: () => number
  readonly log: Logger
}

interface Held {
  readonly certificate: IssuedCertificate
  readonly receivedAt: number
}

interface Waiter {
  resolve(certificate: IssuedCertificate): void
  reject(error: MeshError): void
}

interface Entry {
  readonly identity: string
  held: Held | undefined
  required: boolean
  attempt: number
  issuing: boolean
  timer: NodeJS.Timeout | undefined
  lastError: MeshError | undefined
  readonly waiters: Set<Waiter>
}

const longestTimerMs = 2 ** 31 - 1
const concurrentIssues = 8

export class CertificateCache {
  readonly #deps: CertificateCacheDeps
  readonly #clock: () => number
  readonly #random: () => number
  readonly #entries = new Map<string, Entry>()
  readonly #listeners = new Set<(certificate: IssuedCertificate) => void>()
  readonly #closing = new AbortController()
  readonly #tasks = new Set<Promise<void>>()
  readonly #queue: Entry[] = []
  #issues = 0
  /** Set by `setBundle`; wins over the bundle that comes with an answer, which may be older or newer. */
  #bundle: string | undefined
  /** File operations one after the other: the last state wins. */
  #disk: Promise<void> = Promise.resolve()

  constructor(deps: CertificateCacheDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? Date.now
    this.#random = deps.random ?? Math.random
  }

  /** Reads what the disk holds; corrupt, expired or untrusted files are dropped with a warning. Call once, at start. */
  async load(): Promise<void> {
    const { directory, log } = this.#deps
    const stored = await loadStored(directory, (file, error) => {
      log.warn({ err: error, file }, 'dropped a stored certificate that cannot be read')
    })
    for (const { receivedAt, ...parts } of stored) {
      try {
        const certificate = checkIssued(this.#withBundle(parts), this.#clock())
        this.#entry(certificate.identity).held = { certificate, receivedAt: Math.min(receivedAt, this.#clock()) }
      } catch (error: unknown) {
        log.warn({ err: error, identity: parts.identity }, 'dropped a stored certificate')
        await removeStored(directory, parts.identity)
      }
    }
  }

  /** Has a certificate for `identity` fetched and kept fresh until `forget`. Throws IDENTITY_INVALID if it is no identity. */
  require(identity: string): void {
    parseIdentity(identity)
    const entry = this.#entry(identity)
    if (entry.required || this.#closing.signal.aborted) return
    entry.required = true
    this.#schedule(entry)
  }

  /** Stops renewal, drops the certificate here and on disk. Who waits for it gets an error. */
  forget(identity: string): void {
    const entry = this.#entries.get(identity)
    if (entry === undefined) return
    this.#entries.delete(identity)
    entry.required = false
    clearTimeout(entry.timer)
    this.#fail(entry, new MeshError('CERTIFICATE_UNAVAILABLE', `${identity} is no longer a local identity`))
    this.#onDisk('remove', identity, () => removeStored(this.#deps.directory, identity))
  }

  /** Forgets what the disk held of identities that left while nobody was looking: keys live no longer than their use. */
  forgetUnrequired(): void {
    for (const { identity, required } of [...this.#entries.values()]) if (!required) this.forget(identity)
  }

  /**
   * Replaces the roots. Certificates that chain to the new ones are announced with them; others are dropped and fetched again.
   * Throws IDENTITY_INVALID if the text holds no readable certificate.
   */
  setBundle(pem: string): void {
    parseCertificates(pem)
    if (pem === this.#bundle) return
    this.#bundle = pem
    for (const entry of this.#entries.values()) this.#reverify(entry, pem)
  }

  #reverify(entry: Entry, pem: string): void {
    const { held } = entry
    if (held === undefined || held.certificate.bundlePem === pem) return
    try {
      this.#hold(entry, checkIssued({ ...held.certificate, bundlePem: pem }, this.#clock()), held.receivedAt)
    } catch (error: unknown) {
      this.#deps.log.warn({ err: error, identity: entry.identity }, 'the new trust bundle does not cover a certificate')
      entry.held = undefined
      this.#onDisk('remove', entry.identity, () => removeStored(this.#deps.directory, entry.identity))
    }
    if (entry.required && !entry.issuing) this.#schedule(entry)
  }

  /** The certificate, if there is one and it is valid now. */
  get(identity: string): IssuedCertificate | undefined {
    const certificate = this.#entries.get(identity)?.held?.certificate
    return certificate !== undefined && this.#clock() < certificate.notAfter ? certificate : undefined
  }

  /** Waits until there is a valid certificate; requires it. Rejects with CERTIFICATE_UNAVAILABLE when `signal` aborts. */
  async wait(identity: string, signal: AbortSignal): Promise<IssuedCertificate> {
    if (this.#closing.signal.aborted) throw new MeshError('DRAINING', 'the certificate cache is closed')
    this.require(identity)
    const present = this.get(identity)
    if (present !== undefined) return present
    const entry = this.#entry(identity)
    const waiting = Promise.withResolvers<IssuedCertificate>()
    entry.waiters.add(waiting)
    try {
      return await abortable(waiting.promise, signal, () => unavailable(entry))
    } finally {
      entry.waiters.delete(waiting)
    }
  }

  /** Calls `listener` for each new or re-verified certificate. Returns how to stop that. */
  onChange(listener: (certificate: IssuedCertificate) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Asks at once for everything that failed: for the moment when the way to the control plane is back. */
  retry(): void {
    for (const entry of this.#entries.values()) {
      if (!entry.required || entry.issuing || entry.lastError === undefined) continue
      entry.attempt = 0
      this.#enqueue(entry)
    }
  }

  /** Stops renewing and waits for what is under way. */
  async close(): Promise<void> {
    this.#closing.abort()
    for (const entry of this.#entries.values()) {
      clearTimeout(entry.timer)
      this.#fail(entry, new MeshError('DRAINING', 'the certificate cache is closed'))
    }
    await Promise.allSettled(this.#tasks)
    await this.#disk
  }

  #entry(identity: string): Entry {
    const present = this.#entries.get(identity)
    if (present !== undefined) return present
    const entry: Entry = {
      identity,
      held: undefined,
      required: false,
      attempt: 0,
      issuing: false,
      timer: undefined,
      lastError: undefined,
      waiters: new Set(),
    }
    this.#entries.set(identity, entry)
    return entry
  }

  #schedule(entry: Entry): void {
    const { held } = entry
    if (held === undefined || this.#clock() >= held.certificate.notAfter) {
      this.#enqueue(entry)
      return
    }
    const time = renewalTime({ ...held.certificate, receivedAt: held.receivedAt }, this.#random)
    this.#after(entry, delayUntil(time, this.#clock()))
  }

  #after(entry: Entry, ms: number): void {
    clearTimeout(entry.timer)
    if (!entry.required || this.#closing.signal.aborted) return
    const tooLong = ms > longestTimerMs
    entry.timer = setTimeout(
      () => {
        if (tooLong) this.#after(entry, ms - longestTimerMs)
        else this.#enqueue(entry)
      },
      tooLong ? longestTimerMs : ms,
    )
    entry.timer.unref()
  }

  #enqueue(entry: Entry): void {
    clearTimeout(entry.timer)
    if (entry.issuing || this.#closing.signal.aborted) return
    entry.issuing = true
    this.#queue.push(entry)
    this.#startNext()
  }

  #startNext(): void {
    while (this.#issues < concurrentIssues) {
      const entry = this.#queue.shift()
      if (entry === undefined) return
      this.#issues += 1
      const task = this.#renew(entry).finally(() => {
        this.#issues -= 1
        this.#tasks.delete(task)
        this.#startNext()
      })
      this.#tasks.add(task)
    }
  }

  async #renew(entry: Entry): Promise<void> {
    const { identity } = entry
    try {
      if (!entry.required || this.#closing.signal.aborted) return
      const certificate = await this.#issue(entry)
      if (!entry.required || this.#closing.signal.aborted) return
      entry.attempt = 0
      entry.lastError = undefined
      entry.issuing = false
      this.#hold(entry, certificate, this.#clock())
      this.#schedule(entry)
    } catch (error: unknown) {
      if (!entry.required || this.#closing.signal.aborted) return
      entry.lastError = asMeshError(error, 'CERTIFICATE_UNAVAILABLE')
      const retryMs = retryDelay(entry.attempt, entry.held?.certificate.notAfter, this.#clock(), this.#random)
      entry.attempt += 1
      this.#deps.log.warn({ err: error, identity, retryMs: Math.round(retryMs) }, 'no new certificate yet')
      this.#after(entry, retryMs)
    } finally {
      entry.issuing = false
    }
  }

  async #issue(entry: Entry): Promise<IssuedCertificate> {
    const { identity } = entry
    const timeoutMs = issueTimeout(entry.held?.certificate.notAfter, this.#clock())
    const signal = deadline(timeoutMs, this.#closing.signal)
    const { privateKey, pem } = createKeyPair()
    const answer = await abortable(
      this.#deps.issue(identity, createCsr(privateKey, identity), signal),
      signal,
      () => new MeshError('CERTIFICATE_UNAVAILABLE', `no answer to the request for ${identity} within ${timeoutMs} ms`),
    )
    const parts = { identity, keyPem: pem, chainPem: answer.chain, bundlePem: answer.bundle }
    return checkIssued(this.#withBundle(parts), this.#clock())
  }

  #withBundle(parts: IssuedParts): IssuedParts {
    return this.#bundle === undefined ? parts : { ...parts, bundlePem: this.#bundle }
  }

  #hold(entry: Entry, certificate: IssuedCertificate, receivedAt: number): void {
    entry.held = { certificate, receivedAt }
    const { identity, keyPem, chainPem, bundlePem } = certificate
    this.#onDisk('write', identity, () =>
      writeStored(this.#deps.directory, { identity, keyPem, chainPem, bundlePem, receivedAt }),
    )
    for (const waiter of [...entry.waiters]) waiter.resolve(certificate)
    for (const listener of [...this.#listeners]) {
      try {
        listener(certificate)
      } catch (error: unknown) {
        this.#deps.log.error({ err: error, identity }, 'a listener for certificates failed')
      }
    }
  }

  /** A disk that fails costs the restart without a control plane, not the traffic. */
  #onDisk(what: string, identity: string, work: () => Promise<void>): void {
    this.#disk = this.#disk.then(work).catch((error: unknown) => {
      this.#deps.log.error({ err: error, identity }, `could not ${what} a certificate on disk`)
    })
  }

  #fail(entry: Entry, error: MeshError): void {
    for (const waiter of [...entry.waiters]) waiter.reject(error)
  }
}

function unavailable(entry: Entry): MeshError {
  const why = entry.lastError === undefined ? 'the control plane has not answered yet' : entry.lastError.message
  return new MeshError('CERTIFICATE_UNAVAILABLE', `no certificate for ${entry.identity}: ${why}`, {
    cause: entry.lastError,
  })
}
