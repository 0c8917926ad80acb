import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import tls from 'node:tls'
import fc from 'fast-check'
import t from 'tap'
import { readHello } from '../../../core/net/client-hello.ts'

/** What Node's own client sends first. */
async function helloOf(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = tls.connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...options })
  client.on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  socket.on('error', () => {})
  let bytes = Buffer.alloc(0)
  while (readHello(bytes).kind === 'incomplete') {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    bytes = Buffer.concat([bytes, chunk])
  }
  client.destroy()
  socket.destroy()
  server.close()
  return bytes
}

/** The same message in records of at most `size` bytes. */
function fragmented(hello: Buffer, size: number): Buffer {
  const parts: Buffer[] = []
  for (let at = 5; at < hello.length; at += size) {
    const part = hello.subarray(at, at + size)
    parts.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part)
  }
  return Buffer.concat(parts)
}

t.test("the server name of Node's own hello, whatever the records and however it arrives", async (t) => {
  const named = await helloOf({ servername: 'Orders.Shop.example' })
  t.same(readHello(named), { kind: 'tls', serverName: 'orders.shop.example' })
  for (const size of [1, 7, 100]) {
    t.same(readHello(fragmented(named, size)), { kind: 'tls', serverName: 'orders.shop.example' })
  }
  for (let end = 0; end < named.length; end++) {
    if (readHello(named.subarray(0, end)).kind !== 'incomplete') t.fail(`${end} bytes are no whole hello`)
  }
  t.same(readHello(Buffer.concat([named, Buffer.from('early data')])).kind, 'tls')
  t.same(readHello(await helloOf({ maxVersion: 'TLSv1.2', servername: 'a' })), { kind: 'tls', serverName: 'a' })
  t.same(readHello(await helloOf({})), { kind: 'tls', serverName: undefined }, 'an address is no name')
})

t.test('what is no ClientHello is told by its first bytes', async (t) => {
  for (const text of [
    'GET / HTTP/1.1\r\n',
    '\x00',
    'SSH-2.0-x',
    '\x16\x02',
    '\x16\x03\x01\x00\x00',
    '\x16\x03\x01\x00\x05\x02',
  ]) {
    t.same(readHello(Buffer.from(text, 'latin1')), { kind: 'other' }, JSON.stringify(text))
  }
  t.same(readHello(Buffer.alloc(0)), { kind: 'incomplete' })
})

t.test('damaged hellos are never an exception, and never another name than a host', async (t) => {
  const hello = await helloOf({ servername: 'orders.shop.example' })
  const damage = (): void =>
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, value) => {
        const damaged = Buffer.from(hello)
        damaged[at] = value
        const found = readHello(damaged)
        return found.kind !== 'tls' || found.serverName === undefined || /^[a-z0-9._-]*$/.test(found.serverName)
      }),
      { numRuns: 2000 },
    )
  t.doesNotThrow(damage)
})
