import '../../helpers/fake-ca.ts'
import { execFileSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import fc from 'fast-check'
import t from 'tap'
import { createCsr, createKeyPair } from '../../../core/identity/csr.ts'
import { element, objectIdentifier } from '../../../core/identity/der.ts'
import { parseIdentity } from '../../../core/identity/spiffe.ts'

const part = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,60}[a-z0-9])?$/)
const identity = fc
  .tuple(part, part, part)
  .map(([domain, namespace, account]) => `spiffe://${domain}/ns/${namespace}/sa/${account}`)

t.test('a request carries its key and exactly the one critical URI name, and is signed by the key', async (t) => {
  const { privateKey } = createKeyPair()
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  await fc.assert(
    fc.asyncProperty(identity, async (uri) => {
      parseIdentity(uri)
      const request = new x509.Pkcs10CertificateRequest(createCsr(privateKey, uri))
      const names = request.getExtension('2.5.29.17')
      return (
        request.subject === '' &&
        Buffer.from(request.publicKey.rawData).equals(spki) &&
        names instanceof x509.SubjectAlternativeNameExtension &&
        names.critical &&
        JSON.stringify(names.names.toJSON()) === JSON.stringify([{ type: 'url', value: uri }]) &&
        (await request.verify())
      )
    }),
    { numRuns: 60 },
  )
  t.pass()
})

t.test('openssl reads and verifies a request', async (t) => {
  const { privateKey } = createKeyPair()
  const csr = createCsr(privateKey, 'spiffe://cluster.local/ns/shop/sa/orders')
  const text = execFileSync('openssl', ['req', '-noout', '-text', '-verify'], {
    input: csr,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  t.match(text, /URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/orders/)
  t.match(text, /ecdsa-with-SHA256/)
})

t.test('what cannot stand in a URI name is refused', async (t) => {
  const { privateKey } = createKeyPair()
  for (const uri of ['', 'spiffe://a b', 'spiffe://ü', 'spiffe://a\n']) {
    t.throws(() => createCsr(privateKey, uri), { code: 'IDENTITY_INVALID' }, JSON.stringify(uri))
  }
})

t.test('the DER length is the shortest form and covers the contents', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 70_000 }), (size) => {
      const der = element(0x04, Buffer.alloc(size))
      const first = der[1]!
      if (size < 128) return first === size && der.length === size + 2
      const digits = first & 0x7f
      const length = Number.parseInt(der.subarray(2, 2 + digits).toString('hex'), 16)
      return length === size && der[2] !== 0 && der.length === 2 + digits + size
    }),
  )
  t.pass()
})

t.test('object identifiers are encoded as the standard does', async (t) => {
  t.equal(objectIdentifier('1.2.840.10045.4.3.2').toString('hex'), '06082a8648ce3d040302')
  t.equal(objectIdentifier('2.5.29.17').toString('hex'), '0603551d11')
  t.equal(objectIdentifier('1.2.840.113549.1.9.14').toString('hex'), '06092a864886f70d01090e')
})
