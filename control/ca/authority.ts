// The mesh's certificate authority: a root (10 years) and an issuing certificate (1 year, renewed in time), kept in the state
// directory, and the leaves that it signs. Decides nothing about who may have an identity: join.ts and the feed do.
import { createHash, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import { privateDirectory, readPrivateFile, writePrivateFile } from '../state-files.ts'
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
  /** The state directory; the authority keeps to its subdirectory `ca`. */
  readonly stateDirectory: string
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
  readonly #directory: string
  readonly #clock: () => number
  readonly #root: Signer
  #issuing: Signer
  #renewal: Promise<void> | undefined

  private constructor(options: AuthorityOptions, directory: string, root: Signer, issuing: Signer) {
    this.#options = options
    this.#directory = directory
    this.#clock = options.clock ?? Date.now
    this.#root = root
    this.#issuing = issuing
  }

  /** Loads the authority, or makes a new one on first start. Throws STORE_FAILED where what is on disk cannot be used. */
  static async open(options: AuthorityOptions): Promise<Authority> {
    const directory = await privateDirectory(options.stateDirectory, 'ca')
    const now = (options.clock ?? Date.now)()
    const root = (await loadSigner(directory, 'root')) ?? (await makeRoot(options, directory, now))
    const stored = await loadSigner(directory, 'issuing')
    const usable = stored !== undefined && issuedBy(stored, root) && stored.notAfter > now
    const issuing = usable ? stored : await makeIssuing(options, directory, root, now)
    return new Authority(options, directory, root, issuing)
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
    this.#renewal ??= makeIssuing(this.#options, this.#directory, this.#root, now)
      .then((issuing) => {
        this.#issuing = issuing
      })
      .finally(() => {
        this.#renewal = undefined
      })
    await this.#renewal
  }
}

async function makeRoot(options: AuthorityOptions, directory: string, now: number): Promise<Signer> {
  const { trustDomain, log } = options
  const validity = { notBefore: now - maxBackdateMs, notAfter: now + rootLifetimeMs }
  const root = await createAuthorityCertificate({ name: 'Culvert root', trustDomain, pathLength: 1, validity })
  await saveSigner(directory, 'root', root)
  log.info({ trustDomain, directory }, 'created the root certificate')
  return root
}

async function makeIssuing(options: AuthorityOptions, directory: string, root: Signer, now: number): Promise<Signer> {
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
  await saveSigner(directory, 'issuing', issuing)
  options.log.info({ notAfter: new Date(issuing.notAfter).toISOString() }, 'created an issuing certificate')
  return issuing
}

/** Certificate and key share one file, so that a crash never leaves one without the other. */
async function saveSigner(directory: string, name: string, signer: Signer): Promise<void> {
  await writePrivateFile(join(directory, `${name}.pem`), signer.certificatePem + signer.keyPem)
}

async function loadSigner(directory: string, name: string): Promise<Signer | undefined> {
  const file = join(directory, `${name}.pem`)
  const content = await readPrivateFile(file)
  if (content === undefined) return undefined
  const certificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(content)?.[0]
  const key = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(content)?.[0]
  if (certificate === undefined || key === undefined) {
    throw new MeshError('STORE_FAILED', `${file} does not hold a certificate and its key`)
  }
  return signerOf(certificate, key)
}

function issuedBy(issuing: Signer, root: Signer): boolean {
  const rootCertificate = new X509Certificate(root.certificatePem)
  const certificate = new X509Certificate(issuing.certificatePem)
  return certificate.checkIssued(rootCertificate) && certificate.verify(rootCertificate.publicKey)
}
