// The certificates that Culvert makes and the CSRs that it takes, as DER and PEM: profiles only, no files and no decisions
// about who may have what. Used by Authority.
import 'reflect-metadata'
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  type webcrypto,
} from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { MeshError } from '../../core/base/errors.ts'

const signing = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const maxCsrChars = 16 * 1024
const serverAuth = '1.3.6.1.5.5.7.3.1'
const clientAuth = '1.3.6.1.5.5.7.3.2'

/** A certificate authority in memory: its certificate and the key that signs. */
export interface Signer {
  readonly certificatePem: string
  readonly keyPem: string
  readonly notBefore: number
  readonly notAfter: number
}

/** Subject alternative names of a leaf. */
export interface LeafNames {
  readonly uri: string
  readonly dns?: readonly string[]
  readonly ips?: readonly string[]
}

/** Milliseconds since the epoch; X.509 keeps seconds, so both ends are widened to whole ones. */
export interface Validity {
  readonly notBefore: number
  readonly notAfter: number
}

export function createP256Key(): { readonly keyPem: string; readonly publicKey: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  return { keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), publicKey }
}

/** A CA certificate. Without `issuer` it signs itself. `pathLength` is how many CAs may follow it. */
export async function createAuthorityCertificate(options: {
  readonly name: string
  readonly trustDomain: string
  readonly pathLength: number
  readonly validity: Validity
  readonly issuer?: Signer
}): Promise<Signer> {
  const { keyPem, publicKey } = createP256Key()
  const publicCryptoKey = verifyingKey(publicKey)
  const subject = new x509.Name([{ O: [options.trustDomain] }, { CN: [options.name] }])
  const issuer = options.issuer === undefined ? undefined : new x509.X509Certificate(options.issuer.certificatePem)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: subject.toString(),
    issuer: issuer?.subject ?? subject.toString(),
    ...dates(options.validity),
    publicKey: publicCryptoKey,
    signingKey: signingKey(options.issuer?.keyPem ?? keyPem),
    signingAlgorithm: signing,
    extensions: [
      new x509.BasicConstraintsExtension(true, options.pathLength, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicCryptoKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer?.publicKey ?? publicCryptoKey),
    ],
  })
  return signerOf(certificate.toString('pem'), keyPem)
}

/** A leaf without a subject: the SAN is critical (RFC 5280 4.2.1.6), the URI is its only identity. */
export async function createLeafCertificate(options: {
  readonly publicKey: KeyObject
  readonly names: LeafNames
  readonly validity: Validity
  readonly issuer: Signer
}): Promise<{ readonly certificatePem: string; readonly serial: string } & Validity> {
  const issuer = new x509.X509Certificate(options.issuer.certificatePem)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    issuer: issuer.subject,
    ...dates(options.validity),
    publicKey: verifyingKey(options.publicKey),
    signingKey: signingKey(options.issuer.keyPem),
    signingAlgorithm: signing,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([serverAuth, clientAuth]),
      new x509.SubjectAlternativeNameExtension(generalNames(options.names), true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    serial: certificate.serialNumber,
    notBefore: certificate.notBefore.getTime(),
    notAfter: certificate.notAfter.getTime(),
  }
}

/** A CA as it is kept on disk: certificate and key in PEM. Throws where either is not readable. */
export function signerOf(certificatePem: string, keyPem: string): Signer {
  const certificate = new x509.X509Certificate(certificatePem)
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    keyPem,
    notBefore: certificate.notBefore.getTime(),
    notAfter: certificate.notAfter.getTime(),
  }
}

/**
 * The public key of a CSR whose signature proves possession. What the CSR asks for (subject, SANs, extensions) is ignored:
 * the caller stamps what is authorized. Throws IDENTITY_INVALID for anything but a well-signed P-256 request.
 */
export async function publicKeyOfCsr(pem: string): Promise<KeyObject> {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new MeshError('IDENTITY_INVALID', `certificate request refused: ${reason}`, { cause })
  }
  if (pem.length > maxCsrChars) refuse(`longer than ${maxCsrChars} characters`)
  let key: KeyObject
  let verified: boolean
  try {
    const request = new x509.Pkcs10CertificateRequest(pem)
    key = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' })
    if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
      return refuse('the key is not on the curve P-256')
    }
    verified = await request.verify()
  } catch (error: unknown) {
    if (error instanceof MeshError) throw error
    return refuse('it is not a PKCS#10 request', error)
  }
  return verified ? key : refuse('its signature does not fit its key')
}

/** 126 random bits, positive and never shorter (RFC 5280 4.1.2.2). */
function randomSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes.toString('hex')
}

function dates(validity: Validity): { readonly notBefore: Date; readonly notAfter: Date } {
  return {
    notBefore: new Date(Math.floor(validity.notBefore / 1000) * 1000),
    notAfter: new Date(Math.ceil(validity.notAfter / 1000) * 1000),
  }
}

function generalNames(names: LeafNames): x509.JsonGeneralNames {
  return [
    { type: 'url', value: names.uri },
    ...(names.dns ?? []).map((value) => ({ type: 'dns', value }) as const),
    ...(names.ips ?? []).map((value) => ({ type: 'ip', value }) as const),
  ]
}

function signingKey(keyPem: string): webcrypto.CryptoKey {
  return createPrivateKey(keyPem).toCryptoKey(signing, false, ['sign'])
}

function verifyingKey(key: KeyObject): webcrypto.CryptoKey {
  return key.toCryptoKey(signing, true, ['verify'])
}
