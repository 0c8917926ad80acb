import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { nullLogger } from '../../../core/base/log.ts'
import { CertificateCache, type CertificateCacheDeps } from '../../../core/identity/cache.ts'
import type { IssuedCertificate } from '../../../core/identity/certificate.ts'
import { FakeCa, type LeafOptions } from '../../helpers/fake-ca.ts'

const identity = 'spiffe://cluster.local/ns/shop/sa/orders'
/** Aborts after `ms`; unlike `AbortSignal.timeout` it keeps the process alive until then. */
function within(ms: number): AbortSignal {
  const abort = new AbortController()
  setTimeout(() => abort.abort(), ms)
  return abort.signal
}

/** A wait that a failing test does not wait for too long, and a passing one not at all. */
const soon = () => AbortSignal.timeout(10_000)

interface World {
  readonly ca: FakeCa
  readonly directory: string
  requests: number
  open(change?: Partial<CertificateCacheDeps>): CertificateCache
}

async function world(t: Test, options: LeafOptions = {}): Promise<World> {
  const ca = await FakeCa.create()
  const directory = join(mkdtempSync(join(tmpdir(), 'culvert-cache-')), 'certificates')
  t.teardown(() => rmSync(join(directory, '..'), { recursive: true, force: true }))
  const self: World = {
    ca,
    directory,
    requests: 0,
    open: (change = {}) => {
      const cache = new CertificateCache({
        directory,
        issue: (name, csr) => {
          self.requests += 1
          return ca.sign(csr, name, options)
        },
        log: nullLogger(),
        ...change,
      })
      t.teardown(() => cache.close())
      return cache
    },
  }
  return self
}

t.test('a required certificate is issued once, kept private on disk, and back after a restart', async (t) => {
  const { directory, open, ...rest } = await world(t)
  const cache = open()
  await cache.load()
  t.equal(cache.get(identity), undefined)
  cache.require(identity)
  cache.require(identity)
  const certificate = await cache.wait(identity, soon())
  t.equal(cache.get(identity), certificate)
  await cache.close()
  t.equal(statSync(directory).mode & 0o777, 0o700)
  const files = readdirSync(directory)
  t.equal(files.length, 1)
  t.equal(statSync(join(directory, files[0]!)).mode & 0o777, 0o600)

  const again = open({ issue: () => Promise.reject(new Error('the control plane is away')) })
  await again.load()
  t.same(again.get(identity), certificate)
  t.same(await again.wait(identity, soon()), certificate)
  t.equal(rest.ca.issued, 1)
})

t.test('files that are corrupt, foreign, expired or not of the bundle are dropped, the others kept', async (t) => {
  const { directory, open } = await world(t)
  const warnings: unknown[] = []
  const log = Object.assign(nullLogger(), { warn: (...entry: unknown[]) => warnings.push(entry) })
  const first = open()
  await first.load()
  await first.wait(identity, soon())
  await first.wait(`${identity}2`, soon())
  await first.close()
  const [good, bad] = readdirSync(directory) as [string, string]
  const text = readFileSync(join(directory, bad), 'utf8')
  const kept: unknown = JSON.parse(readFileSync(join(directory, good), 'utf8'))
  const corruptions = [
    '',
    '{',
    'null',
    '{}',
    text.slice(0, -200),
    JSON.stringify({ ...JSON.parse(text), identity: `${identity}3` }),
  ]
  for (const corruption of corruptions) {
    writeFileSync(join(directory, bad), corruption)
    const cache = open({ log })
    await cache.load()
    t.ok(cache.get(String(Reflect.get(kept as object, 'identity'))), 'the good one is there')
    await cache.close()
    t.same(readdirSync(directory), [good], JSON.stringify(corruption.slice(0, 20)))
  }
  t.equal(warnings.length, corruptions.length)
  const later = open({ log, clock: () => Date.now() + 86_400_000 })
  await later.load()
  t.same(readdirSync(directory), [], 'expired')
})

t.test('a draft that a crash left behind is removed', async (t) => {
  const { directory, open } = await world(t)
  await open().load()
  writeFileSync(join(directory, 'x.certificate.json.0a0a0a0a.tmp'), 'half')
  await open().load()
  t.same(readdirSync(directory), [])
})

t.test('a certificate of a short life and a backdated start is renewed at half-life, again and again', async (t) => {
  const self = await world(t, { lifetimeMs: 4_000 })
  const cache = self.open()
  await cache.load()
  const changes: number[] = []
  cache.onChange(() => changes.push(performance.now()))
  await cache.wait(identity, soon())
  const started = performance.now()
  let gaps = 0
  while (performance.now() - started < 6_000) {
    if (cache.get(identity) === undefined) gaps += 1
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  t.equal(gaps, 0, 'there is always a valid one')
  t.ok(changes.length >= 3 && changes.length <= 8, `${changes.length} certificates in 6 s`)
})

t.test('while renewal fails the valid certificate is kept until its end, and not longer', async (t) => {
  const self = await world(t)
  let now = Date.now()
  const cache = self.open({ clock: () => now })
  await cache.load()
  const certificate = await cache.wait(identity, soon())
  now = certificate.notAfter - 1
  t.equal(cache.get(identity), certificate)
  now = certificate.notAfter
  t.equal(cache.get(identity), undefined)
})

t.test('a failed request is repeated, at once where asked, and waiters learn why it takes so long', async (t) => {
  const self = await world(t)
  let fail = true
  const cache: CertificateCache = self.open({
    issue: (name, csr) => {
      self.requests += 1
      return fail ? Promise.reject(new Error('no such workload on this host')) : self.ca.sign(csr, name)
    },
  })
  await cache.load()
  await t.rejects(cache.wait(identity, within(100)), {
    code: 'CERTIFICATE_UNAVAILABLE',
    message: /no such workload on this host/,
  })
  fail = false
  const before = self.requests
  cache.retry()
  await cache.wait(identity, within(400))
  t.equal(self.requests, before + 1)
})

t.test('an answer for somebody else, from another authority or for another key is not believed', async (t) => {
  const self = await world(t)
  const other = await FakeCa.create()
  const answers: CertificateCacheDeps['issue'][] = [
    (_, csr) => self.ca.sign(csr, `${identity}2`),
    async (name, csr) => ({ ...(await self.ca.sign(csr, name)), bundle: other.bundlePem }),
    async (name) => {
      const leaf = await self.ca.leaf(name)
      return { chain: leaf.chainPem, bundle: leaf.bundlePem }
    },
    async () => ({ chain: 'garbage', bundle: 'garbage' }),
  ]
  for (const issue of answers) {
    const cache = self.open({ issue })
    await cache.load()
    await t.rejects(cache.wait(identity, within(100)), { code: 'CERTIFICATE_UNAVAILABLE' })
    t.equal(cache.get(identity), undefined)
    await cache.close()
    t.same(readdirSync(self.directory), [])
  }
})

t.test('a new bundle is announced with the certificates it covers, and the others are fetched again', async (t) => {
  const self = await world(t)
  const next = await FakeCa.create()
  let ca = self.ca
  const cache = self.open({ issue: (name, csr) => ca.sign(csr, name) })
  await cache.load()
  const first = await cache.wait(identity, soon())
  const changes: IssuedCertificate[] = []
  cache.onChange((certificate) => changes.push(certificate))
  cache.setBundle(self.ca.bundlePem + next.bundlePem)
  t.match(changes, [{ chainPem: first.chainPem, bundlePem: self.ca.bundlePem + next.bundlePem }])
  cache.setBundle(self.ca.bundlePem + next.bundlePem)
  t.equal(changes.length, 1, 'the same bundle is no change')
  t.throws(() => cache.setBundle('garbage'), { code: 'IDENTITY_INVALID' })
  t.ok(cache.get(identity), 'a bundle that cannot be read changes nothing')
  ca = next
  cache.setBundle(next.bundlePem)
  t.equal(cache.get(identity), undefined, 'the old root is no longer trusted')
  const second = await cache.wait(identity, soon())
  t.equal(second.bundlePem, next.bundlePem)
  t.not(second.chainPem, first.chainPem)
})

t.test('what is forgotten is gone, on disk too, and its waiters are told', async (t) => {
  const self = await world(t)
  const cache = self.open()
  await cache.load()
  await cache.wait(identity, soon())
  cache.forget(identity)
  t.equal(cache.get(identity), undefined)
  const stuck = self.open({ issue: () => new Promise(() => {}), directory: join(self.directory, 'stuck') })
  await stuck.load()
  const waiting = stuck.wait(identity, soon())
  stuck.forget(identity)
  await t.rejects(waiting, { code: 'CERTIFICATE_UNAVAILABLE' })
  await cache.close()
  t.same(readdirSync(self.directory), ['stuck'])
})

t.test('what nobody requires after a restart is removed from the disk', async (t) => {
  const { directory, open } = await world(t)
  const other = 'spiffe://cluster.local/ns/shop/sa/former'
  const cache = open()
  await cache.load()
  for (const each of [identity, other]) {
    cache.require(each)
    await cache.wait(each, soon())
  }
  await cache.close()
  const again = open()
  await again.load()
  again.require(identity)
  again.forgetUnrequired()
  t.equal(again.get(other), undefined)
  t.ok(again.get(identity))
  await again.close()
  t.equal(readdirSync(directory).length, 1)
})

t.test('closing ends every wait and every request', async (t) => {
  const self = await world(t)
  const aborted = Promise.withResolvers<void>()
  const cache = self.open({
    issue: (_name, _csr, signal) => {
      signal.addEventListener('abort', () => aborted.resolve())
      return new Promise(() => {})
    },
  })
  await cache.load()
  const waiting = cache.wait(identity, soon())
  const closed = cache.close()
  await t.rejects(waiting, { code: 'DRAINING' })
  await aborted.promise
  await closed
  await t.rejects(cache.wait(identity, soon()), { code: 'DRAINING' })
})

t.test('at most eight requests are under way at once, and all are served', async (t) => {
  const self = await world(t)
  let under = 0
  let most = 0
  const cache = self.open({
    issue: async (name, csr) => {
      under += 1
      most = Math.max(most, under)
      try {
        return await self.ca.sign(csr, name)
      } finally {
        under -= 1
      }
    },
  })
  await cache.load()
  const names = Array.from({ length: 30 }, (_, index) => `${identity}${index}`)
  const certificates = await Promise.all(names.map((name) => cache.wait(name, soon())))
  t.same(
    certificates.map((certificate) => certificate.identity),
    names,
  )
  t.ok(most <= 8, `${most} at once`)
  t.throws(() => cache.require('spiffe://cluster.local/culvert/host/h1'), { code: 'IDENTITY_INVALID' })
})

t.test('a listener that throws harms neither the others nor the certificate', async (t) => {
  const self = await world(t)
  const cache = self.open()
  await cache.load()
  let heard = 0
  cache.onChange(() => {
    throw new Error('boom')
  })
  const off = cache.onChange(() => {
    heard += 1
  })
  await cache.wait(identity, soon())
  t.equal(heard, 1)
  off()
  await cache.wait(`${identity}2`, soon())
  t.equal(heard, 1)
})
