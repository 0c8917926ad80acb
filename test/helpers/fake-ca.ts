// A small certificate authority for tests: P-256 root and issuing certificate, leaves with URI names and, on purpose, every
// way to get one wrong (expired, other trust domain, other usage, no or several names). Used by unit and direct tests.
import 'reflect-metadata'
import { createPublicKey, type KeyObject, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { createKeyPair } from '../../core/identity/csr.ts'

x509.cryptoProvider.set(webcrypto as never)

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const clientAuth = '1.3.6.1.5.5.7.3.2'
const serverAuth = '1.3.6.1.5.5.7.3.1'

export interface LeafOptions {
  /** URI names; one is the rule. */
  readonly uris?: readonly string[]
  readonly dns?: readonly string[]
  /** Milliseconds since the epoch; default one minute ago. */
  readonly notBefore?: number
  /** Default `notBefore` given or now, plus `lifetimeMs`. */
  readonly notAfter?: number
  /** Default one hour, from now. */
  readonly lifetimeMs?: number
  /** Default both. An empty list leaves the extension out. */
  readonly usages?: readonly ('client' | 'server')[]
  /** Sign directly with the root, so that the chain is the leaf alone. */
  readonly byRoot?: boolean
}

export interface FakeLeaf {
  readonly identity: string
  readonly keyPem: string
  readonly chainPem: string
  readonly bundlePem: string
  readonly notBefore: number
  readonly notAfter: number
}

type Keys = webcrypto.CryptoKeyPair

interface Authority {
  readonly keys: Keys
  readonly certificate: x509.X509Certificate
}

let serial = Math.floor(Math.random() * 0x7fff_ffff)

function nextSerial(): string {
  serial += 1
  return `10${serial.toString(16).padStart(8, '0')}`
}

async function authority(name: string, parent?: Authority): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: nextSerial(),
    subject: `CN=${name}`,
    issuer: parent?.certificate.subject ?? `CN=${name}`,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey as never,
    signingKey: (parent?.keys ?? keys).privateKey as never,
    extensions: [
      new x509.BasicConstraintsExtension(true, parent === undefined ? 1 : 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey as never),
    ],
  })
  return { keys, certificate }
}

export class FakeCa {
  readonly #root: Authority
  readonly #issuing: Authority
  /** Roots, PEM. */
  readonly bundlePem: string
  /** How many certificates `sign` and `leaf` made. */
  issued = 0

  private constructor(root: Authority, issuing: Authority) {
    this.#root = root
    this.#issuing = issuing
    this.bundlePem = `${root.certificate.toString('pem')}\n`
  }

  static async create(): Promise<FakeCa> {
    const root = await authority(`Test root ${nextSerial()}`)
    return new FakeCa(root, await authority(`Test issuing ${nextSerial()}`, root))
  }

  /** A key and a certificate for `identity`, good unless `options` make it bad. */
  async leaf(identity: string, options: LeafOptions = {}): Promise<FakeLeaf> {
    const { privateKey, pem } = createKeyPair()
    const { chainPem, notBefore, notAfter } = await this.certify(createPublicKey(privateKey), identity, options)
    return { identity, keyPem: pem, chainPem, bundlePem: this.bundlePem, notBefore, notAfter }
  }

  /** Answers a CSR as a control plane does: the identity is the one authorized, whatever the CSR names. */
  async sign(csrPem: string, identity: string, options: LeafOptions = {}): Promise<{ chain: string; bundle: string }> {
    const request = new x509.Pkcs10CertificateRequest(csrPem)
    const publicKey = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' })
    const { chainPem } = await this.certify(publicKey, identity, options)
    return { chain: chainPem, bundle: this.bundlePem }
  }

  async certify(publicKey: KeyObject, identity: string, options: LeafOptions) {
    const notBefore = options.notBefore ?? Date.now() - 60_000
    const notAfter = options.notAfter ?? (options.notBefore ?? Date.now()) + (options.lifetimeMs ?? 3_600_000)
    const signer = options.byRoot === true ? this.#root : this.#issuing
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: nextSerial(),
      issuer: signer.certificate.subject,
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      signingAlgorithm: algorithm,
      publicKey: (await webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify'])) as never,
      signingKey: signer.keys.privateKey as never,
      extensions: await leafExtensions(identity, options),
    })
    this.issued += 1
    const intermediate = options.byRoot === true ? '' : `${this.#issuing.certificate.toString('pem')}\n`
    return { chainPem: `${certificate.toString('pem')}\n${intermediate}`, notBefore, notAfter }
  }
}

async function leafExtensions(identity: string, options: LeafOptions): Promise<x509.Extension[]> {
  const usages = (options.usages ?? ['client', 'server']).map((usage) => (usage === 'client' ? clientAuth : serverAuth))
  const names = [
    ...(options.uris ?? [identity]).map((value) => ({ type: 'url' as const, value })),
    ...(options.dns ?? []).map((value) => ({ type: 'dns' as const, value })),
  ]
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ...(usages.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(usages)]),
    ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names, true)]),
  ]
}
