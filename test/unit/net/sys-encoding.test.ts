import fc from 'fast-check'
import t from 'tap'
import { canonicalAddress } from '../../../core/net/address.ts'
import { decodeSocketAddress, encodeSocketAddress, isMappedAddress, wordOf } from '../../../core/net/sys-encoding.ts'

t.test('socket addresses have the layout of the kernel', (t) => {
  t.equal(
    encodeSocketAddress({ address: '10.1.2.3', port: 0x1f90 }).toString('hex'),
    '02001f900a0102030000000000000000',
  )
  t.equal(
    encodeSocketAddress({ address: '2001:db8::1', port: 443 }).toString('hex'),
    '0a0001bb0000000020010db8000000000000000000000001' + '00000000',
  )
  t.end()
})

t.test('decoding is the inverse of encoding', (t) => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => canonicalAddress(text)!)
  fc.assert(
    fc.property(address, fc.integer({ min: 0, max: 65535 }), (one, port) => {
      const decoded = decodeSocketAddress(encodeSocketAddress({ address: one, port }))
      return decoded?.address === one && decoded.port === port
    }),
  )
  t.end()
})

t.test('an IPv4-mapped address of a dual-stack socket speaks IPv4', (t) => {
  const mapped = encodeSocketAddress({ address: '::1', port: 1 })
  Buffer.from('00000000000000000000ffff0a000001', 'hex').copy(mapped, 8)
  t.ok(isMappedAddress(mapped))
  t.same(decodeSocketAddress(mapped), { address: '10.0.0.1', port: 1 })
  t.ok(isMappedAddress(encodeSocketAddress({ address: '10.0.0.1', port: 1 })))
  t.notOk(isMappedAddress(encodeSocketAddress({ address: '::1', port: 1 })))
  t.equal(decodeSocketAddress(Buffer.alloc(28)), undefined, 'another family')
  t.end()
})

t.test('integers are C ints, marks above 2^31 included', (t) => {
  t.equal(wordOf(0x539).toString('hex'), '39050000')
  t.equal(wordOf(0xffffffff).toString('hex'), 'ffffffff')
  t.end()
})
