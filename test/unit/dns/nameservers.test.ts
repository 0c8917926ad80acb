import fc from 'fast-check'
import t from 'tap'
import { reverseAddress } from '../../../core/decide/names.ts'
import { FrameReader, frame } from '../../../daemon/dns/frames.ts'
import { readNameservers } from '../../../daemon/dns/nameservers.ts'

t.test('nameservers are read with and without port, in both families, each once', async (t) => {
  const { usable, ignored } = readNameservers(['10.0.0.2', '10.0.0.2:53', '[2001:db8::2]:5353', '2001:DB8::3'], [])
  t.same(usable, [
    { address: '10.0.0.2', port: 53 },
    { address: '2001:db8::2', port: 5353 },
    { address: '2001:db8::3', port: 53 },
  ])
  t.same(ignored, [])
})

t.test('the proxy is never its own nameserver, a resolver on loopback may be one', async (t) => {
  const { usable, ignored } = readNameservers(
    ['127.0.0.1:15053', '[::1]:15053', '10.0.0.5:15053', '127.0.0.53'],
    ['10.0.0.5'],
  )
  t.same(usable, [{ address: '127.0.0.53', port: 53 }])
  t.equal(ignored.length, 3)
  t.match(ignored[0], /proxy itself/)
})

t.test('what is no address is left out with the reason, as are more than four', async (t) => {
  const { usable, ignored } = readNameservers(
    ['ns.example.com', '10.0.0.1:0', '1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4', '1.1.1.5'],
    [],
  )
  t.equal(usable.length, 4)
  t.same(ignored, [
    'ns.example.com is not an address',
    '10.0.0.1:0 is not an address',
    '1.1.1.5 is more than 4 nameservers',
  ])
})

t.test('frames come out of a stream as they went in, however it is cut', async () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 6 })
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 40 }), (sent, step) => {
      const stream = Buffer.concat(sent.map((message) => frame(Buffer.from(message))))
      const reader = new FrameReader()
      const got: Buffer[] = []
      for (let at = 0; at < stream.length; at += step) got.push(...reader.push(stream.subarray(at, at + step)))
      return got.length === sent.length && got.every((message, index) => message.equals(sent[index]!))
    }),
  )
})

t.test('reverse names are read for IPv4 and IPv6 and nothing else', async (t) => {
  t.equal(reverseAddress('4.3.2.1.in-addr.arpa'), '1.2.3.4')
  t.equal(reverseAddress(`1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`), '2001:db8::1')
  t.equal(reverseAddress('3.2.1.in-addr.arpa'), undefined)
  t.equal(reverseAddress('1.2.ip6.arpa'), undefined)
  t.equal(reverseAddress('256.3.2.1.in-addr.arpa'), undefined)
})
