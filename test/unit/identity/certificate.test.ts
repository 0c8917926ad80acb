import t from 'tap'
import { checkIssued, parseCertificates, uriNames } from '../../../core/identity/certificate.ts'
import { FakeCa, type LeafOptions } from '../../helpers/fake-ca.ts'

const identity = 'spiffe://cluster.local/ns/shop/sa/orders'

t.test('a good certificate is believed, signed by the issuing certificate or by the root', async (t) => {
  const ca = await FakeCa.create()
  for (const byRoot of [false, true]) {
    const leaf = await ca.leaf(identity, { byRoot })
    const issued = checkIssued(leaf, Date.now())
    t.equal(issued.identity, identity)
    t.equal(issued.notAfter, Math.floor(leaf.notAfter / 1000) * 1000)
    t.equal(issued.notBefore, Math.floor(leaf.notBefore / 1000) * 1000)
  }
})

t.test('a certificate is believed from the first to the last moment of its validity', async (t) => {
  const ca = await FakeCa.create()
  const leaf = await ca.leaf(identity)
  const { notBefore, notAfter } = checkIssued(leaf, Date.now())
  checkIssued(leaf, notBefore)
  checkIssued(leaf, notAfter - 1)
  t.throws(() => checkIssued(leaf, notBefore - 1), { message: /not valid before .* check the clock/ })
  t.throws(() => checkIssued(leaf, notAfter), { message: /expired/ })
})

t.test('each thing that is wrong is told', async (t) => {
  const ca = await FakeCa.create()
  const other = await FakeCa.create()
  const leaf = await ca.leaf(identity)
  const wrongLeaves: readonly [LeafOptions, RegExp][] = [
    [{ uris: [`${identity}2`] }, /names .*orders2/],
    [{ uris: [identity, `${identity}2`] }, /names .*orders, .*orders2/],
    [{ uris: [] }, /names nobody/],
    [{ usages: ['client'] }, /clientAuth and serverAuth/],
    [{ usages: ['server'] }, /clientAuth and serverAuth/],
    [{ usages: [] }, /clientAuth and serverAuth/],
  ]
  for (const [options, message] of wrongLeaves) {
    const wrong = await ca.leaf(identity, options)
    t.throws(() => checkIssued(wrong, Date.now()), { code: 'IDENTITY_INVALID', message })
  }
  const chain = /does not chain/
  const withOther = { ...leaf, bundlePem: other.bundlePem }
  t.throws(() => checkIssued(withOther, Date.now()), { message: chain }, 'another root')
  const alone = { ...leaf, chainPem: leaf.chainPem.slice(0, leaf.chainPem.indexOf('-----END') + 26) }
  t.throws(() => checkIssued(alone, Date.now()), { message: chain }, 'no issuing certificate')
  const selfMade = { ...leaf, bundlePem: leaf.chainPem }
  t.doesNotThrow(() => checkIssued(selfMade, Date.now()), 'an issuing certificate may be a root of the bundle')
  t.throws(
    () => checkIssued({ ...leaf, bundlePem: alone.chainPem }, Date.now()),
    { message: chain },
    'a leaf is no root',
  )
  const key = (await ca.leaf(identity)).keyPem
  t.throws(() => checkIssued({ ...leaf, keyPem: key }, Date.now()), { message: /does not fit the key/ })
  t.throws(() => checkIssued({ ...leaf, keyPem: 'x' }, Date.now()), { message: /key .* cannot be read/ })
  t.throws(() => checkIssued({ ...leaf, chainPem: '' }, Date.now()), { message: /no certificate/ })
  t.throws(() => checkIssued({ ...leaf, bundlePem: '' }, Date.now()), { message: /no certificate/ })
})

t.test('a certificate that hides a name in another has no name', async (t) => {
  const ca = await FakeCa.create()
  const leaf = await ca.leaf(identity, { dns: ['a, URI:spiffe://cluster.local/ns/shop/sa/admin, b'] })
  t.same(uriNames(parseCertificates(leaf.chainPem)[0]!), [])
})
