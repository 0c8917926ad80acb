// Key pairs and certificate requests (PKCS#10, RFC 2986) of workloads and hosts: P-256, no subject, one URI name.
// Called by the certificate cache and by whoever joins a mesh. Keys are born here and never leave the process that asked.
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { MeshError } from '../base/errors.ts'
import { bitString, booleanTrue, element, objectIdentifier, octetString, sequence, set, smallInteger } from './der.ts'

const extensionRequest = objectIdentifier('1.2.840.113549.1.9.14')
const subjectAltName = objectIdentifier('2.5.29.17')
const ecdsaWithSha256 = objectIdentifier('1.2.840.10045.4.3.2')
const uniformResourceIdentifier = 0x86
const attributes = 0xa0

/** A fresh P-256 key; `pem` is unencrypted PKCS#8. */
export function createKeyPair(): { readonly privateKey: KeyObject; readonly pem: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { privateKey, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

/**
 * A PEM certificate request for `uri`, signed with `privateKey`. The name is critical because the subject is empty
 * (RFC 5280 4.1.2.6). Throws IDENTITY_INVALID for a name that is not printable ASCII.
 */
export function createCsr(privateKey: KeyObject, uri: string): string {
  if (!/^[\x21-\x7e]+$/.test(uri)) throw new MeshError('IDENTITY_INVALID', `"${uri}" cannot be a URI name`)
  const names = sequence(element(uniformResourceIdentifier, Buffer.from(uri, 'ascii')))
  const extensions = sequence(sequence(subjectAltName, booleanTrue(), octetString(names)))
  const info = sequence(
    smallInteger(0),
    sequence(),
    createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
    element(attributes, sequence(extensionRequest, set(extensions))),
  )
  const request = sequence(info, sequence(ecdsaWithSha256), bitString(sign('sha256', info, privateKey)))
  return pemBlock('CERTIFICATE REQUEST', request)
}

function pemBlock(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
