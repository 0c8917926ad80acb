import fc from 'fast-check'
import t from 'tap'
import { formatForwarded, forwardedFor, forwardedHost } from '../../../core/hbone/forwarded.ts'

t.test('forwarded carries the caller and, where a service was addressed, its name', async (t) => {
  t.equal(formatForwarded({ address: '10.0.0.1', port: 5 }), 'for="10.0.0.1:5"')
  t.equal(formatForwarded({ address: 'fd00::1', port: 5 }, 'a.b.svc'), 'for="[fd00::1]:5";host=a.b.svc')
})

t.test('the addressed service is read from any well-formed forwarded header', async (t) => {
  t.equal(forwardedHost('for="10.0.0.1:5";host=a.b.svc'), 'a.b.svc')
  t.equal(forwardedHost('Host="A.b.svc"; for=x'), 'a.b.svc')
  for (const header of [undefined, '', 'for=x', 'host=', 'ghost=a', 'host=a b', `host=${'a'.repeat(2000)}`]) {
    t.equal(forwardedHost(header), undefined, header?.slice(0, 20) ?? 'none')
  }
  fc.assert(
    fc.property(fc.domain(), fc.ipV6(), (host, address) => {
      return forwardedHost(formatForwarded({ address, port: 1 }, host)) === host.toLowerCase()
    }),
  )
  fc.assert(
    fc.property(fc.string(), (header) => {
      const host = forwardedHost(header)
      return host === undefined || /^[a-z0-9.-]{1,253}$/.test(host)
    }),
  )
})

const read: readonly (readonly [string | undefined, string | undefined])[] = [
  ['for="10.0.0.1:5"', '10.0.0.1:5'],
  ['for="10.0.0.1:5";host=a.b.svc', '10.0.0.1:5'],
  ['host=a.b.svc; For=10.0.0.1:5', '10.0.0.1:5'],
  ['for=10.0.0.1', '10.0.0.1:0'],
  ['for="10.0.0.1"', '10.0.0.1:0'],
  ['for="[fd00::1]:5"', 'fd00::1:5'],
  ['for="[fd00::1]"', 'fd00::1:0'],
  ['for="[FD00:0:0::1]:5"', 'fd00::1:5'],
  ['for="[::ffff:10.0.0.1]:5"', '10.0.0.1:5'],
  ['for="10.0.0.1:5";host="a;for=10.0.0.2;b"', undefined],
  ['host="a;for=10.0.0.2;b"', undefined],
  ['for="10.0.0.1:5";', undefined],
  [undefined, undefined],
  ['', undefined],
  ['for=', undefined],
  ['host=a.b.svc', undefined],
  ['for=unknown', undefined],
  ['for="_hidden"', undefined],
  ['for="a.example:5"', undefined],
  ['for="fd00::1"', undefined],
  ['for="[fd00::1%eth0]"', undefined],
  ['for="10.0.0.1:5", for="10.0.0.2:5"', undefined],
  ['for="10.0.0.1:5";for="10.0.0.2:5"', undefined],
  ['for="10.0.0.1:5";FOR =10.0.0.2', undefined],
  ['for="10.0.0.1:99999"', undefined],
  ['for="10.0.0.1:5\\""', undefined],
  [`for="10.0.0.1:5";host=${'a'.repeat(2000)}`, undefined],
]

t.test('the address of the caller is read where it is said exactly once', async (t) => {
  for (const [header, expected] of read) {
    const found = forwardedFor(header)
    t.equal(found && `${found.address}:${found.port}`, expected, header?.slice(0, 60) ?? 'none')
  }
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.constantFrom('fd00::1', '2001:db8::7')), fc.nat(65535), (address, port) => {
      const found = forwardedFor(formatForwarded({ address, port }, 'a.b.svc'))
      return found?.address === address && found.port === port
    }),
  )
})
