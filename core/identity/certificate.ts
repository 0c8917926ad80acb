// Issued certificates and the checks before one is believed: key, name, usage, validity, chain. Called by the certificate
// cache for what the control plane answers and what the disk holds, and by tls.ts for names.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { MeshError } from '../base/errors.ts'

/** A key with its certificate chain (leaf first) and the roots to trust; times in milliseconds since the epoch. */
export interface IssuedCertificate {
  /** SPIFFE URI. */
  readonly identity: string
  readonly keyPem: string
  readonly chainPem: string
  readonly bundlePem: string
  readonly notBefore: number
  readonly notAfter: number
}

export const extendedUsage = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const maxChainLength = 8

/** All certificates of a PEM text, in order. Throws IDENTITY_INVALID where one cannot be read or there is none. */
export function parseCertificates(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(certificateBlock) ?? []
  if (blocks.length === 0) throw new MeshError('IDENTITY_INVALID', 'there is no certificate in the PEM text')
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch (error: unknown) {
    throw new MeshError('IDENTITY_INVALID', 'a certificate in the PEM text cannot be read', { cause: error })
  }
}

/**
 * The URI names of a certificate. Node quotes every name that could be mistaken for a list of names (CVE-2021-44532); such a
 * certificate has no usable name at all.
 */
export function uriNames(certificate: X509Certificate): readonly string[] {
  const names = certificate.subjectAltName
  if (names === undefined || names.includes('"')) return []
  return names
    .split(', ')
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length))
}

/** Whether the extended key usage is there and allows `usage`. A certificate without the extension allows nothing. */
export function allowsUsage(certificate: X509Certificate, usage: keyof typeof extendedUsage): boolean {
  // `keyUsage` is undefined at run time where the extension is missing, whatever the type says.
  const usages = certificate.keyUsage as readonly string[] | undefined
  return usages?.includes(extendedUsage[usage]) ?? false
}

export interface IssuedParts {
  readonly identity: string
  readonly keyPem: string
  readonly chainPem: string
  readonly bundlePem: string
}

/**
 * Believes a certificate only if the key fits, the one URI name is `identity`, both usages are allowed, it is valid at `now`
 * (milliseconds) and it chains to a root of the bundle. Throws IDENTITY_INVALID and says which of these failed.
 */
export function checkIssued(parts: IssuedParts, now: number): IssuedCertificate {
  const [leaf, ...intermediates] = parseCertificates(parts.chainPem)
  if (leaf === undefined) throw invalid(parts, 'has no leaf')
  if (!leaf.checkPrivateKey(privateKey(parts))) throw invalid(parts, 'does not fit the key it was asked for')
  const names = uriNames(leaf)
  if (names.length !== 1 || names[0] !== parts.identity) {
    throw invalid(parts, `names ${names.length === 0 ? 'nobody' : names.join(', ')}`)
  }
  if (!allowsUsage(leaf, 'client') || !allowsUsage(leaf, 'server')) {
    throw invalid(parts, 'does not allow both clientAuth and serverAuth')
  }
  const { notBefore, notAfter } = checkChain(parts, leaf, intermediates, now)
  return { ...parts, notBefore, notAfter }
}

function privateKey(parts: IssuedParts) {
  try {
    return createPrivateKey(parts.keyPem)
  } catch (error: unknown) {
    throw new MeshError('IDENTITY_INVALID', `the key of ${parts.identity} cannot be read`, { cause: error })
  }
}

function checkChain(
  parts: IssuedParts,
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  now: number,
): { notBefore: number; notAfter: number } {
  const roots = parseCertificates(parts.bundlePem)
  let current = leaf
  let notAfter = checkValidity(parts, leaf, now)
  for (let depth = 0; depth < maxChainLength; depth += 1) {
    const root = roots.find((candidate) => issuedBy(current, candidate))
    if (root !== undefined) {
      notAfter = Math.min(notAfter, checkValidity(parts, root, now))
      return { notBefore: leaf.validFromDate.getTime(), notAfter }
    }
    const next = intermediates.find((candidate) => candidate !== current && issuedBy(current, candidate))
    if (next === undefined) break
    notAfter = Math.min(notAfter, checkValidity(parts, next, now))
    current = next
  }
  throw invalid(parts, 'does not chain to a root of the trust bundle')
}

function issuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

/** The end of validity in milliseconds. */
function checkValidity(parts: IssuedParts, certificate: X509Certificate, now: number): number {
  const from = certificate.validFromDate.getTime()
  const to = certificate.validToDate.getTime()
  const subject = certificate.subject === undefined || certificate.subject === '' ? 'leaf' : certificate.subject
  if (now < from)
    throw invalid(parts, `is not valid before ${new Date(from).toISOString()} (${subject}; check the clock)`)
  if (now >= to) throw invalid(parts, `expired at ${new Date(to).toISOString()} (${subject})`)
  return to
}

function invalid(parts: IssuedParts, what: string): MeshError {
  return new MeshError('IDENTITY_INVALID', `the certificate for ${parts.identity} ${what}`)
}

/** A certificate for people: all but its key. */
export function certificateView({ identity, chainPem, notBefore, notAfter }: IssuedCertificate): object {
  const iso = (time: number): string => new Date(time).toISOString()
  return { identity, notBefore: iso(notBefore), notAfter: iso(notAfter), chain: chainPem }
}
