// Client certificates for test/hbone-peer: from the authority of the mesh under test where its key is given, or from one made up.
import { createAuthorityCertificate, createLeafCertificate, createP256Key, type Signer } from '../../control/ca/x509.ts'
import type { Credentials } from './target.ts'

const lifetimeMs = 3_600_000

const validity = () => ({ notBefore: Date.now() - 60_000, notAfter: Date.now() + lifetimeMs })

/** A certificate with the URI name `identity`; the issuing certificate is sent along. */
export async function mint(issuer: Signer, identity: string): Promise<Credentials> {
  const { keyPem, publicKey } = createP256Key()
  const names = { uri: identity }
  const { certificatePem } = await createLeafCertificate({ publicKey, names, validity: validity(), issuer })
  return { certificatePem: `${certificatePem}${issuer.certificatePem}`, keyPem }
}

/** A certificate that looks right, of an authority that nobody knows. */
export async function selfMade(identity: string): Promise<Credentials> {
  const authority = { name: 'Unknown authority', trustDomain: 'cluster.local', pathLength: 0, validity: validity() }
  return mint(await createAuthorityCertificate(authority), identity)
}
