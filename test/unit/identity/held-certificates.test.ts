import t from 'tap'
import { deadline } from '../../../core/base/deadline.ts'
import { Certificates, serverNameOf } from '../../../core/identity/held-certificates.ts'
import { FakeCa } from '../../helpers/fake-ca.ts'

const identity = 'spiffe://cluster.local/ns/shop/sa/orders'

t.test('a certificate serves its own name, or none, and no other', async (t) => {
  const ca = await FakeCa.create()
  const certificates = new Certificates(Date.now)
  t.equal(certificates.serverContext(identity, undefined), undefined, 'nothing before there is one')
  certificates.set(await ca.leaf(identity))
  t.equal(serverNameOf(identity), 'orders.shop.cluster.local')
  t.ok(certificates.serverContext(identity, undefined))
  t.ok(certificates.serverContext(identity, 'Orders.shop.cluster.local'))
  for (const name of ['', 'orders', 'orders.shop', 'other.shop.cluster.local', 'orders.shop.cluster.local.']) {
    t.equal(certificates.serverContext(identity, name), undefined, name)
  }
  certificates.forget(identity)
  t.equal(certificates.context(identity), undefined)
})

t.test('an expired certificate is none', async (t) => {
  const ca = await FakeCa.create()
  let now = Date.now()
  const certificates = new Certificates(() => now)
  const leaf = await ca.leaf(identity)
  certificates.set(leaf)
  t.ok(certificates.context(identity))
  now = leaf.notAfter
  t.equal(certificates.context(identity), undefined)
})

t.test('who waits gets the certificate when it comes, or an error at the deadline', async (t) => {
  const ca = await FakeCa.create()
  const certificates = new Certificates(Date.now)
  const waiting = certificates.wait(identity, deadline(10_000))
  await t.rejects(certificates.wait(identity, AbortSignal.abort()), { code: 'CERTIFICATE_UNAVAILABLE' })
  certificates.set(await ca.leaf(identity))
  await t.resolves(waiting)
  await t.resolves(certificates.wait(identity, AbortSignal.abort()), 'what is there needs no wait')
})

t.test('a certificate that does not load is refused and the former one stays', async (t) => {
  const ca = await FakeCa.create()
  const certificates = new Certificates(Date.now)
  const leaf = await ca.leaf(identity)
  certificates.set(leaf)
  t.throws(() => certificates.set({ ...leaf, chainPem: 'nonsense', keyPem: 'nonsense' }))
  t.ok(certificates.context(identity))
})
