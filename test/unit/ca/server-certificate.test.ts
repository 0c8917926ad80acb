import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Authority } from '../../../control/ca/authority.ts'
import { ServerCertificate, type ServerKeyPair } from '../../../control/ca/server-certificate.ts'
import { fileVault } from '../../../control/ca/vault.ts'
import { nullLogger } from '../../../core/base/log.ts'

t.test('a server certificate is renewed at half of its life and handed to the server', async (t) => {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'culvert-ca-'))
  t.teardown(() => rm(stateDirectory, { recursive: true, force: true }))
  const log = nullLogger()
  const authority = await Authority.open({
    vault: await fileVault(stateDirectory, 'ca'),
    trustDomain: 'td',
    leafLifetimeMs: 60_000,
    log,
  })
  const names = { uri: 'spiffe://td/culvert/control' }
  const certificate = await ServerCertificate.issue({ authority, names, lifetimeMs: 2000, log })
  t.teardown(() => certificate.close())
  const first = certificate.current
  const held = setTimeout(() => undefined, 10_000)
  const renewed = await new Promise<ServerKeyPair>((resolve) => certificate.onRenewal(resolve))
  clearTimeout(held)
  t.equal(certificate.current, renewed)
  t.not(renewed.key, first.key)
  const [before, after] = [first, renewed].map(({ cert }) => new X509Certificate(cert))
  t.ok(Date.parse(after!.validTo) > Date.parse(before!.validTo))
  t.equal(after!.subjectAltName, 'URI:spiffe://td/culvert/control')
})
