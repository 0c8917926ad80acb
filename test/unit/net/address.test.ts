import fc from 'fast-check'
import t from 'tap'
import {
  canonicalAddress,
  familyOf,
  formatSocketAddress,
  isLoopback,
  parseSocketAddress,
  splitHostPort,
} from '../../../core/net/address.ts'

t.test('an address has one spelling', (t) => {
  const table: readonly (readonly [string, string | undefined])[] = [
    ['10.0.0.1', '10.0.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:a00:1', '10.0.0.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::', '::'],
    ['010.0.0.1', undefined],
    ['10.0.0', undefined],
    ['', undefined],
    ['[::1]', undefined],
    ['localhost', undefined],
  ]
  for (const [text, expected] of table) t.equal(canonicalAddress(text), expected, text)
  t.end()
})

t.test('socket addresses are formatted and parsed back', (t) => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => canonicalAddress(text)!)
  fc.assert(
    fc.property(address, fc.integer({ min: 0, max: 65535 }), (one, port) => {
      const parsed = parseSocketAddress(formatSocketAddress({ address: one, port }))
      return parsed?.address === one && parsed.port === port
    }),
  )
  t.end()
})

t.test('authorities that are no socket address are refused', (t) => {
  for (const text of ['', '10.0.0.1', '10.0.0.1:', '10.0.0.1:65536', '::1:80', '[::1]', 'a@b:1:2', '[10.0.0.1:80']) {
    t.equal(parseSocketAddress(text), undefined, text)
  }
  t.equal(parseSocketAddress('name:80'), undefined)
  t.same(splitHostPort('name:80'), { host: 'name', port: 80 })
  fc.assert(fc.property(fc.string(), (text) => parseSocketAddress(text) === undefined || text.includes(':')))
  t.end()
})

t.test('families and loopback are told apart', (t) => {
  t.same(['10.0.0.1', '::1'].map(familyOf), ['ipv4', 'ipv6'])
  t.same(['127.0.0.1', '127.255.0.1', '::1', '128.0.0.1', '::2'].map(isLoopback), [true, true, true, false, false])
  t.end()
})
