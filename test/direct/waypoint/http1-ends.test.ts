// How exchanges of HTTP/1.1 end otherwise than by an answer: clients that leave, upstreams that break off, deadlines, drains. And those
// that wait first: Expect, upgrades.
import t, { type Test } from 'tap'
import { BodyChannel, emptyBody } from '../../../waypoint/http/body.ts'
import { Headers } from '../../../waypoint/http/message.ts'
import { Http1World, until, type WorldOptions } from '../../helpers/http1-world.ts'

async function world(t: Test, options?: WorldOptions): Promise<Http1World> {
  const world = await new Http1World(options).start()
  t.teardown(() => world.close())
  return world
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const get = (path = '/', fields = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`
const expecting = 'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n'

t.test('the body waits for the 100 of the backend, which reaches the client', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(expecting)
  const backend = await w.backend.connection(0)
  t.match(await backend.read('\r\n\r\n'), 'expect: 100-continue\r\n')
  backend.write('HTTP/1.1 100 Continue\r\n\r\n')
  t.equal(await client.read('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n')
  client.write('abc')
  await backend.read('abc')
  backend.write(ok)
  t.equal(await client.read('ok'), ok)
})

t.test('a backend that knows nothing of 100 gets the body all the same', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(expecting)
  const backend = await w.backend.connection(0)
  t.equal(await client.read('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n')
  client.write('abc')
  await backend.read('abc')
  backend.write(ok)
  t.equal(await client.read('ok'), ok)
})

t.test('a final answer instead of 100: no body is sent, and no connection goes on', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(expecting)
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  backend.write('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n')
  t.equal(await client.rest(), 'HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
  await until(() => backend.closed, 'the backend is rid of it')
  t.equal(backend.text, '')
})

const upgrade = get(
  '/ws',
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
)

t.test('an upgrade to WebSocket: both ways, frames in the packet of the 101, each end ends by itself', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(upgrade)
  const backend = await w.backend.connection(0)
  t.match(await backend.read('\r\n\r\n'), 'connection: upgrade\r\nupgrade: websocket\r\n')
  backend.write(
    'HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a=\r\n\r\n\x81\x01a',
  )
  t.equal(
    await client.read('\x81\x01a'),
    'HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: a=\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\x81\x01a',
  )
  client.write('GET / HTTP/1.1\r\n\r\n')
  t.equal(await backend.read('\r\n\r\n'), 'GET / HTTP/1.1\r\n\r\n', 'bytes like any others')
  client.socket.end('last')
  await backend.read('last')
  await until(() => backend.ended, 'the end of one direction')
  backend.write('more')
  await client.read('more')
  backend.socket.end()
  await client.rest()
  t.notOk(client.reset)
  await until(() => w.pool.connections === 0, 'nothing is left')
})

t.test('what a client sends before its upgrade is accepted waits', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(`${upgrade}early`)
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  t.equal(backend.text, '')
  backend.write('HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
  t.match(await client.read('\r\n\r\n'), 'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  await backend.read('early')
})

t.test('an upgrade that is refused leaves HTTP on both connections', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(upgrade + get('/next'))
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  backend.write('HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno')
  await client.read('no')
  t.match(await backend.read('\r\n\r\n'), 'GET /next ')
  backend.write(ok)
  await client.read('ok')
})

t.test('a WebSocket may be silent for as long as it likes, in both directions', async (t) => {
  const w = await world(t, { server: { timeouts: { idleMs: 30, bodyMs: 20, headMs: 20, lingerMs: 20 } } })
  const client = w.client()
  client.write(upgrade)
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  backend.write('HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
  await client.read('\r\n\r\n')
  // a request on a connection of its own is given up meanwhile
  const slow = w.client()
  slow.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc')
  t.match(await slow.rest(), /^HTTP\/1\.1 408 /)
  await new Promise((resolve) => setTimeout(resolve, 100))
  client.write('ping')
  await backend.read('ping')
  backend.write('pong')
  await client.read('pong')
})

t.test('a client that leaves takes its request along', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(get())
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  client.socket.resetAndDestroy()
  await until(() => backend.closed, 'the backend hears of it')
  t.equal(w.exchanges[0]?.abandoned, 'client')
  const other = w.client()
  other.write(get())
  const second = await w.backend.connection(1)
  await second.read('\r\n\r\n')
  second.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
  await other.read('abc')
  other.socket.resetAndDestroy()
  await until(() => second.closed, 'and within an answer')
})

t.test('a client that ends its direction while it waits has left: its request goes no further', async (t) => {
  const w = await world(t)
  const waiting = w.client()
  waiting.write(get('/slow'))
  const first = await w.backend.connection(0)
  await first.read('\r\n\r\n')
  waiting.socket.end()
  await until(() => first.closed, 'the backend hears of it')
  t.equal(w.exchanges[0]?.abandoned, 'client')
  const streaming = w.client()
  streaming.write(get('/events'))
  const second = await w.backend.connection(1)
  await second.read('\r\n\r\n')
  second.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  await streaming.read('abc')
  streaming.socket.end()
  await until(() => second.closed, 'and within an answer, though nothing more of it comes')
  const upgrading = w.client()
  upgrading.write(upgrade)
  const third = await w.backend.connection(2)
  await third.read('\r\n\r\n')
  upgrading.socket.end()
  await until(() => third.closed, 'and while it waits for another protocol')
})

for (const [name, request] of [
  ['of HTTP/1.1 that says so', get('/', 'Connection: close\r\n')],
  ['of HTTP/1.0', 'GET / HTTP/1.0\r\nHost: x\r\n\r\n'],
] as const) {
  t.test(`a client ${name} may end its direction after its last request`, async (t) => {
    const w = await world(t)
    const client = w.client()
    client.write(request)
    client.socket.end()
    const backend = await w.backend.connection(0)
    await backend.read('\r\n\r\n')
    backend.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    t.match(await client.rest(), /\r\n\r\nok$/)
    t.notOk(client.reset)
  })
}

t.test('a client that leaves within its body: the backend gets no whole request', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  const backend = await w.backend.connection(0)
  await backend.read('abc\r\n')
  client.socket.end()
  t.match(await client.rest(), /^HTTP\/1\.1 400 /)
  await until(() => backend.closed, 'the backend is told')
  t.equal(backend.text, '', 'no last chunk')
})

for (const [name, head] of [
  ['a length', 'Content-Length: 10\r\n'],
  ['chunks', 'Transfer-Encoding: chunked\r\n'],
] as const) {
  for (const version of ['1.0', '1.1']) {
    t.test(`an answer with ${name} that breaks off: a client of HTTP/${version} sees a reset`, async (t) => {
      const w = await world(t)
      const client = w.client()
      client.write(`GET / HTTP/${version}\r\nHost: x\r\n\r\n`)
      const backend = await w.backend.connection(0)
      await backend.read('\r\n\r\n')
      backend.write(`HTTP/1.1 200 OK\r\n${head}\r\n${head.startsWith('T') ? '3\r\nabc\r\n' : 'abc'}`)
      await client.read('abc')
      backend.socket.end()
      await until(() => client.closed, 'the client is told')
      t.ok(client.reset)
      t.notOk(client.ended)
    })
  }
}

t.test('an answer until the end of its connection that is reset is no whole answer', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write('GET / HTTP/1.0\r\nHost: x\r\n\r\n')
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  backend.write('HTTP/1.0 200 OK\r\n\r\nabc')
  await client.read('abc')
  backend.socket.resetAndDestroy()
  await until(() => client.closed, 'the client is told')
  t.ok(client.reset)
})

t.test('heads that come drop by drop, silence, and bodies that stop have an end', async (t) => {
  const w = await world(t, { server: { timeouts: { headMs: 50, idleMs: 80, bodyMs: 60, lingerMs: 50 } } })
  const drops = w.client()
  drops.write('GET / HT')
  t.match(await drops.rest(), /^HTTP\/1\.1 408 .*connection: close/s)
  const silent = w.client()
  t.equal(await silent.rest(), '')
  const stalled = w.client()
  stalled.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na')
  t.match(await stalled.rest(), /^HTTP\/1\.1 408 /)
  const slow = w.client()
  slow.write(get())
  const backend = await w.backend.connection(1)
  await backend.read('\r\n\r\n')
  await new Promise((resolve) => setTimeout(resolve, 200))
  backend.write(ok)
  t.equal(await slow.read('ok'), ok, 'an answer takes its time')
})

t.test('a connection that idles is closed, after it has served', async (t) => {
  const w = await world(t, { server: { timeouts: { idleMs: 60 } } })
  const client = w.client()
  client.write(get())
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  backend.write(ok)
  await client.read('ok')
  t.equal(await client.rest(), '')
})

t.test('a drain ends idle connections, and others with their answer', async (t) => {
  const w = await world(t)
  const [idle, busy, late] = [w.client(), w.client(), w.client()]
  idle.write(get())
  const first = await w.backend.connection(0)
  await first.read('\r\n\r\n')
  first.write(ok)
  await idle.read('ok')
  busy.write(get())
  await first.read('\r\n\r\n')
  late.write(get())
  const second = await w.backend.connection(1)
  await second.read('\r\n\r\n')
  second.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab')
  await late.read('ab')
  for (const connection of w.serving) connection.drain()
  t.equal(await idle.rest(), '')
  first.write(ok)
  t.equal(await busy.rest(), 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok')
  second.write('cd')
  t.equal(await late.rest(), 'cd')
})

t.test('defects are answered with 500 and told; an upstream that breaks off is a 503', async (t) => {
  let turn = 0
  const defects: unknown[] = []
  const w = await world(t, {
    server: { onDefect: (error) => defects.push(error) },
    handler: async (_exchange, send) => {
      turn += 1
      if (turn === 1) throw new Error('a defect')
      if (turn === 2) return { head: { status: 999, headers: new Headers() }, body: emptyBody }
      return send()
    },
  })
  const client = w.client()
  for (const _turn of [1, 2]) {
    client.write(get())
    t.equal(await client.read('\r\n\r\n'), 'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n')
  }
  t.match(defects, [{ message: 'a defect' }])
  client.write(get())
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  backend.socket.resetAndDestroy()
  t.equal(await client.read('\r\n\r\n'), 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n')
})

t.test('an answer of another length than it said is never a whole one', async (t) => {
  for (const text of ['abc', 'a']) {
    const w = await world(t, {
      handler: async () => {
        const body = new BodyChannel({}, 2)
        setTimeout(() => {
          body.push(Buffer.from(text))
          body.end()
        }, 5)
        return { head: { status: 200, headers: new Headers() }, body }
      },
    })
    const client = w.client()
    client.write(get())
    await until(() => client.closed, 'the client is told')
    t.ok(client.reset)
  }
})
