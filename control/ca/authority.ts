// The mesh's certificate authority: a root (10 years) and an issuing certificate (1 year, renewed in time), kept in the state
// directory, and the leaves that it signs. Decides nothing about who may have an identity: join.ts and the feed do.
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { Vault } from './vault.ts'
import {
  createAuthorityCertificate,
  createLeafCertificate,
  createP256Key,
  type LeafNames,
  publicKeyOfCsr,
  type Signer,
  signerOf,
  type Validity,
} from './x509.ts'

const dayMs = 24 * 60 * 60 * 1000
const rootLifetimeMs = 3652 * dayMs
const issuingLifetimeMs = 365 * dayMs
/** The issuing certificate is replaced this long before its end, so that no leaf is cut short by it. */
const issuingRenewalMs = 120 * dayMs
const maxBackdateMs = 60_000

export interface SignedCertificate extends Validity {
  /** PEM: leaf, then the issuing certificate. */
  readonly chain: string
  readonly serial: string
}

export interface AuthorityOptions {
  /** Where the keys are kept. */
  readonly vault: Vault
  readonly trustDomain: string
  readonly leafLifetimeMs: number
  readonly log: Logger
  readonly clock?: () => number
}

/** How far a certificate starts in the past, for clocks that differ: a minute, but little of a short life (half-life renewal). */
export function backdateMs(lifetimeMs: number): number {
  return Math.min(maxBackdateMs, Math.floor(lifetimeMs / 10))
}

export class Authority {
  readonly #options: AuthorityOptions
  readonly #clock: () => number
  readonly #root: Signer
  #issuing: Signer
  #renewal: Promise<void> | undefined

  private constructor(options: AuthorityOptions, root: Signer, issuing: Signer) {
    this.#options = options
    this.#clock = options.clock ?? Date.now
    this.#root = root
    this.#issuing = issuing
  }

  /** Loads the authority, or makes a new one on first start. Throws STORE_FAILED where what is stored cannot be used. */
  static async open(options: AuthorityOptions): Promise<Authority> {
    const now = (options.clock ?? Date.now)()
    const root = (await loadSigner(options.vault, 'root')) ?? (await makeRoot(options, now))
    const stored = await loadSigner(options.vault, 'issuing')
    const usable = stored !== undefined && issuedBy(stored, root) && stored.notAfter > now
    const issuing = usable ? stored : await makeIssuing(options, root, now)
    return new Authority(options, root, issuing)
  }

  /** Trust bundle: the roots, PEM. */
  get bundle(): string {
    return this.#root.certificatePem
  }

  get trustDomain(): string {
    return this.#options.trustDomain
  }

  /** SHA-256 of the root's DER, lower-case hex: part of every join token. */
  get rootFingerprint(): string {
    return createHash('sha256').update(new X509Certificate(this.#root.certificatePem).raw).digest('hex')
  }

  get issuingNotAfter(): number {
    return this.#issuing.notAfter
  }

  /**
   * Signs the key of `csr` for `uri`, which the caller has authorized. `lifetimeMs` defaults to the leaf lifetime.
   * Throws IDENTITY_INVALID for a bad request.
   */
  async sign(csr: string, uri: string, lifetimeMs = this.#options.leafLifetimeMs): Promise<SignedCertificate> {
    const publicKey = await publicKeyOfCsr(csr)
    return this.#leaf(publicKey, { uri }, lifetimeMs)
  }

  /** Key and certificate for a server of the control plane itself. */
  async issueServer(names: LeafNames, lifetimeMs: number): Promise<SignedCertificate & { readonly key: string }> {
    const { keyPem, publicKey } = createP256Key()
    return { key: keyPem, ...(await this.#leaf(publicKey, names, lifetimeMs)) }
  }

  async #leaf(
    publicKey: Parameters<typeof createLeafCertificate>[0]['publicKey'],
    names: LeafNames,
    lifetimeMs: number,
  ): Promise<SignedCertificate> {
    await this.#renewIssuing()
    const now = this.#clock()
    const issuer = this.#issuing
    const validity = {
      notBefore: Math.max(now - backdateMs(lifetimeMs), issuer.notBefore),
      notAfter: Math.min(now + lifetimeMs, issuer.notAfter),
    }
    const leaf = await createLeafCertificate({ publicKey, names, validity, issuer })
    const { serial, notBefore, notAfter } = leaf
    return { chain: leaf.certificatePem + issuer.certificatePem, serial, notBefore, notAfter }
  }

  /** Replaces the issuing certificate before it becomes old; concurrent callers wait for the same renewal. */
  async #renewIssuing(): Promise<void> {
    const now = this.#clock()
    if (this.#issuing.notAfter - now > issuingRenewalMs) return
    if (this.#root.notAfter <= now) throw new MeshError('CERTIFICATE_UNAVAILABLE', 'the root certificate has expired')
    this.#renewal ??= renewedIssuing(this.#options, this.#root, now)
      .then((issuing) => {
        this.#issuing = issuing
      })
      .finally(() => {
        this.#renewal = undefined
      })
    await this.#renewal
  }
}

async function makeRoot(options: AuthorityOptions, now: number): Promise<Signer> {
  const { trustDomain, vault, log } = options
  const validity = { notBefore: now - maxBackdateMs, notAfter: now + rootLifetimeMs }
  const root = await createAuthorityCertificate({ name: 'Culvert root', trustDomain, pathLength: 1, validity })
  const stored = await saveSigner(vault, 'root', root, undefined)
  log.info({ trustDomain, place: vault.place }, 'created the root certificate')
  return stored
}

/** Another replica may have renewed it already. */
async function renewedIssuing(options: AuthorityOptions, root: Signer, now: number): Promise<Signer> {
  const stored = await loadSigner(options.vault, 'issuing')
  const fresh = stored !== undefined && issuedBy(stored, root) && stored.notAfter - now > issuingRenewalMs
  return fresh ? stored : makeIssuing(options, root, now)
}

async function makeIssuing(options: AuthorityOptions, root: Signer, now: number): Promise<Signer> {
  const previous = await options.vault.read('issuing.pem')
  const validity = {
    notBefore: Math.max(now - maxBackdateMs, root.notBefore),
    notAfter: Math.min(now + issuingLifetimeMs, root.notAfter),
  }
  const issuing = await createAuthorityCertificate({
    name: 'Culvert issuing',
    trustDomain: options.trustDomain,
    pathLength: 0,
    validity,
    issuer: root,
  })
  const stored = await saveSigner(options.vault, 'issuing', issuing, previous)
  options.log.info({ notAfter: new Date(stored.notAfter).toISOString() }, 'created an issuing certificate')
  return stored
}

/** Certificate and key are one secret, so that a crash never leaves one without the other. Returns the one that is in force. */
async function saveSigner(vault: Vault, name: string, signer: Signer, previous: string | undefined): Promise<Signer> {
  const file = `${name}.pem`
  const text = signer.certificatePem + signer.keyPem
  const stored = await vault.replace(file, text, previous)
  return stored === text ? signer : signerIn(stored, vault, file)
}

async function loadSigner(vault: Vault, name: string): Promise<Signer | undefined> {
  const file = `${name}.pem`
  const content = await vault.read(file)
  return content === undefined ? undefined : signerIn(content, vault, file)
}

function signerIn(content: string, vault: Vault, file: string): Signer {
  const certificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(content)?.[0]
  const key = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(content)?.[0]
  if (certificate === undefined || key === undefined) {
    throw new MeshError('STORE_FAILED', `${file} in ${vault.place} does not hold a certificate and its key`)
  }
  if (!belongTogether(certificate, key)) {
    const advice = 'restore it from a backup'
    throw new MeshError('STORE_FAILED', `${file} in ${vault.place} is damaged, or its key is of another one: ${advice}`)
  }
  return signerOf(certificate, key)
}

function belongTogether(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

function issuedBy(issuing: Signer, root: Signer): boolean {
  const rootCertificate = new X509Certificate(root.certificatePem)
  const certificate = new X509Certificate(issuing.certificatePem)
  return certificate.checkIssued(rootCertificate) && certificate.verify(rootCertificate.publicKey)
}
