// A client before it is clear what it speaks: drained, gone, silent.
import t, { type Test } from 'tap'
import { ClientConnection, type ClientOptions } from '../../../waypoint/client-connection.ts'
import { emptyBody } from '../../../waypoint/http/body.ts'
import { Headers } from '../../../waypoint/http/message.ts'
import { RawPeer, testOrigin, until } from '../../helpers/http1-world.ts'
import { dialTcp, listen } from '../../helpers/tunnel.ts'

async function accepted(t: Test, options: Partial<ClientOptions> = {}) {
  const seen = { connection: undefined as ClientConnection | undefined, closed: 0, protocol: '' }
  const serving = (protocol: string) => () => {
    seen.protocol = protocol
    return { drain: () => {}, destroy: () => {} }
  }
  const { server, port } = await listen((socket) => {
    seen.connection = new ClientConnection(socket, {
      http1: {
        origin: testOrigin,
        handler: async () => ({ head: { status: 204, headers: new Headers() }, body: emptyBody }),
        clock: () => performance.now(),
        timeouts: { idleMs: 60 },
        onClosed: () => (seen.closed += 1),
      },
      http2: serving('http2'),
      tcp: serving('tcp'),
      onClosed: () => (seen.closed += 1),
      ...options,
    })
  })
  const client = new RawPeer(await dialTcp(port))
  t.teardown(() => {
    client.socket.destroy()
    server.close()
  })
  await until(() => seen.connection !== undefined, 'it is accepted')
  return { client, seen }
}

t.test('a request that comes byte by byte is recognised, and answered once', async (t) => {
  const { client, seen } = await accepted(t)
  for (const byte of 'GET / HTTP/1.1\r\nHost: x\r\n\r\n') {
    client.write(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal(await client.read('\r\n\r\n'), 'HTTP/1.1 204 No Content\r\n\r\n')
  t.equal(seen.connection?.protocol, 'http1')
  await client.rest()
  await until(() => seen.closed === 1, 'its end is told once')
})

t.test('a request with the end of its client behind it is answered', async (t) => {
  const { client } = await accepted(t)
  client.socket.end('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal(await client.rest(), 'HTTP/1.1 204 No Content\r\n\r\n')
})

t.test('who has said nothing is let go by a drain, and after a while where HTTP is expected', async (t) => {
  const drained = await accepted(t)
  drained.seen.connection?.drain()
  await drained.client.rest()
  await until(() => drained.seen.closed === 1, 'its end is told')
  const silent = await accepted(t, { hint: 'http', silentMs: 5 })
  await silent.client.rest()
  t.equal(silent.seen.protocol, '', 'it is not taken for raw TCP')
})

t.test('without a hint silence is raw TCP, with the hint it is at once', async (t) => {
  const silent = await accepted(t, { silentMs: 5 })
  await until(() => silent.seen.protocol === 'tcp', 'it is handed over')
  const hinted = await accepted(t, { hint: 'tcp', silentMs: 60_000 })
  t.equal(hinted.seen.protocol, 'tcp')
})
