import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import t from 'tap'
import { Authority, backdateMs } from '../../../control/ca/authority.ts'
import { fileVault } from '../../../control/ca/vault.ts'
import { nullLogger } from '../../../core/base/log.ts'

const dayMs = 86_400_000
const start = Date.UTC(2026, 0, 1)

async function stateDirectory(t: { teardown(done: () => Promise<void>): void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-ca-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function csr(names: readonly string[] = [], curve: 'P-256' | 'P-384' = 'P-256'): Promise<string> {
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: curve }, true, ['sign', 'verify'])
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=whatever',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'url' as const, value })))],
  })
  return request.toString('pem')
}

async function openAt(stateDirectory: string, now: () => number, leafLifetimeMs = dayMs): Promise<Authority> {
  const vault = await fileVault(stateDirectory, 'ca')
  return Authority.open({ vault, trustDomain: 'td', leafLifetimeMs, log: nullLogger(), clock: now })
}

const uri = 'spiffe://td/ns/shop/sa/orders'

t.test(
  'a leaf has the stamped identity, a critical SAN, no subject and nothing of what the request asked for',
  async (t) => {
    const authority = await openAt(await stateDirectory(t), () => start)
    const signed = await authority.sign(await csr(['spiffe://td/ns/evil/sa/admin']), uri)
    const leaf = new x509.X509Certificate(signed.chain)
    t.equal(leaf.subject, '')
    const san = leaf.getExtension(x509.SubjectAlternativeNameExtension)
    t.equal(san?.critical, true)
    t.strictSame(san?.names.toJSON(), [{ type: 'url', value: uri }])
    t.equal(leaf.getExtension(x509.KeyUsagesExtension)?.usages, x509.KeyUsageFlags.digitalSignature)
    t.strictSame(Array.from(leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? []), [
      '1.3.6.1.5.5.7.3.1',
      '1.3.6.1.5.5.7.3.2',
    ])
    t.equal(leaf.getExtension(x509.BasicConstraintsExtension)?.ca, false)
    t.equal(signed.notAfter, start + dayMs)
    t.equal(signed.notBefore, start - 60_000)
  },
)

t.test('the chain leads over the issuing certificate to the root whose fingerprint tokens carry', async (t) => {
  const authority = await openAt(await stateDirectory(t), () => start)
  const { chain } = await authority.sign(await csr(), uri)
  const [leaf, issuing] = chain.split(/(?<=END CERTIFICATE-----\n)/).map((pem) => new X509Certificate(pem))
  const root = new X509Certificate(authority.bundle)
  t.ok(leaf!.checkIssued(issuing!) && leaf!.verify(issuing!.publicKey))
  t.ok(issuing!.checkIssued(root) && issuing!.verify(root.publicKey))
  t.equal(root.fingerprint256.replaceAll(':', '').toLowerCase(), authority.rootFingerprint)
  const constraints = [issuing, root].map((certificate) =>
    new x509.X509Certificate(certificate!.raw).getExtension(x509.BasicConstraintsExtension),
  )
  t.strictSame(
    constraints.map((constraint) => [constraint?.ca, constraint?.pathLength, constraint?.critical]),
    [
      [true, 0, true],
      [true, 1, true],
    ],
  )
})

t.test('a request is refused for another curve, a broken signature, an RSA key and garbage', async (t) => {
  const authority = await openAt(await stateDirectory(t), () => start)
  const der = Buffer.from((await csr()).replace(/-----[^-]+-----/g, ''), 'base64')
  der[der.length - 1] = der[der.length - 1]! ^ 1
  const broken = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
  for (const bad of [await csr([], 'P-384'), broken, 'garbage', '', 'x'.repeat(100_000)]) {
    await t.rejects(authority.sign(bad, uri), { code: 'IDENTITY_INVALID' })
  }
})

t.test('a leaf of 20 s is backdated so little that half of its life lies ahead', async (t) => {
  const authority = await openAt(await stateDirectory(t), () => start, 20_000)
  const { notBefore, notAfter } = await authority.sign(await csr(), uri)
  t.equal(notAfter - start, 20_000)
  t.equal(start - notBefore, 2000)
  t.ok((notBefore + notAfter) / 2 - start > 8000)
  t.equal(backdateMs(dayMs), 60_000)
})

t.test('the authority survives a restart, with files that only its owner reads', async (t) => {
  const directory = await stateDirectory(t)
  const first = await openAt(directory, () => start)
  const second = await openAt(directory, () => start + dayMs)
  t.equal(second.rootFingerprint, first.rootFingerprint)
  t.equal(second.issuingNotAfter, first.issuingNotAfter)
  for (const file of await readdir(join(directory, 'ca'))) {
    t.equal((await stat(join(directory, 'ca', file))).mode & 0o777, 0o600, file)
  }
})

t.test(
  'the issuing certificate is renewed before it cuts a leaf short, also while running and after a long absence',
  async (t) => {
    const directory = await stateDirectory(t)
    let now = start
    const authority = await openAt(directory, () => now)
    const before = authority.issuingNotAfter
    now = start + 300 * dayMs
    const [one, two] = await Promise.all([authority.sign(await csr(), uri), authority.sign(await csr(), uri)])
    t.ok(authority.issuingNotAfter > before)
    t.equal(one.notAfter, now + dayMs)
    t.equal(one.chain.split('-----BEGIN')[2], two.chain.split('-----BEGIN')[2])
    now = start + 3000 * dayMs
    const later = await openAt(directory, () => now)
    t.equal((await later.sign(await csr(), uri)).notAfter, now + dayMs)
  },
)

t.test('serial numbers differ and are positive', async (t) => {
  const authority = await openAt(await stateDirectory(t), () => start)
  const request = await csr()
  const serials = new Set<string>()
  for (let n = 0; n < 20; n++) serials.add((await authority.sign(request, uri)).serial)
  t.equal(serials.size, 20)
  for (const serial of serials) t.match(serial, /^[4-7][0-9a-f]{31}$/)
})

t.test('a damaged authority file is an error, never a new root', async (t) => {
  const directory = await stateDirectory(t)
  await openAt(directory, () => start)
  await writeFile(join(directory, 'ca', 'root.pem'), 'damaged')
  await t.rejects(
    openAt(directory, () => start),
    { code: 'STORE_FAILED' },
  )
})

t.test('a server certificate carries identity, names and addresses, and its key', async (t) => {
  const authority = await openAt(await stateDirectory(t), () => start)
  const server = await authority.issueServer(
    { uri: 'spiffe://td/culvert/control', dns: ['localhost'], ips: ['127.0.0.1', '::1'] },
    dayMs,
  )
  const certificate = new X509Certificate(server.chain)
  t.ok(certificate.checkPrivateKey(createPrivateKey(server.key)))
  t.match(certificate.subjectAltName, /URI:spiffe:\/\/td\/culvert\/control, DNS:localhost, IP Address:127.0.0.1/)
  t.equal(certificate.checkPrivateKey(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey), false)
})
