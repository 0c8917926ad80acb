// HTTP/1.1 through the waypoint's own two ends, byte by byte: what a client sees and what a backend sees.
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { poisonReleased } from '../../../core/net/read-buffers.ts'
import { bodyOf } from '../../../waypoint/http/body.ts'
import { Headers } from '../../../waypoint/http/message.ts'
import { Http1World, type RawPeer, until, type WorldOptions } from '../../helpers/http1-world.ts'

async function world(t: Test, options?: WorldOptions): Promise<Http1World> {
  const world = await new Http1World(options).start()
  t.teardown(() => world.close())
  return world
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const get = (path = '/', fields = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`

t.test('a request and its answer, twice over the same two connections', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write('GET /a HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\n')
  const backend = await w.backend.connection(0)
  t.equal(await backend.read('\r\n\r\n'), 'GET /a HTTP/1.1\r\nhost: x\r\nx-a: b\r\n\r\n')
  backend.write(ok)
  t.equal(await client.read('ok'), ok)
  client.write('POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc')
  t.equal(await backend.read('abc'), 'POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc')
  backend.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n')
  t.equal(
    await client.read('7\r\n\r\n'),
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 7\r\n\r\n',
  )
  t.equal(w.backend.connections.length, 1)
})

t.test('pipelined requests go one after the other and are answered in order', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(get('/1') + get('/2') + get('/3'))
  const backend = await w.backend.connection(0)
  for (const number of [1, 2, 3]) {
    t.match(await backend.read('\r\n\r\n'), `GET /${number} `)
    t.equal(backend.text, '', 'the next one waits')
    backend.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${number}`)
  }
  t.match(await client.read('\r\n\r\n3'), /\r\n\r\n1HTTP.*\r\n\r\n2HTTP/s)
})

t.test(
  'a client that has ended its side behind several requests, the last of which says so, gets all its answers',
  async (t) => {
    const w = await world(t)
    const client = w.client()
    client.socket.end(get('/1') + get('/2', 'Connection: close\r\n'))
    const backend = await w.backend.connection(0)
    for (const number of [1, 2]) {
      t.match(await backend.read('\r\n\r\n'), `GET /${number} `)
      backend.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${number}`)
    }
    t.match(await client.rest(), /\r\n\r\n1HTTP.*\r\n\r\n2$/s)
    t.notOk(client.reset)
  },
)

t.test('trailers and chunks of a request arrive as such', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n')
  const backend = await w.backend.connection(0)
  t.equal(
    await backend.read('7\r\n\r\n'),
    'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n',
  )
})

t.test('the path is left as it came: the stack normalises it', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(get('/a/../b/%7Euser\\c?x=/../y'))
  const backend = await w.backend.connection(0)
  t.match(await backend.read('\r\n\r\n'), 'GET /a/../b/%7Euser\\c?x=/../y HTTP/1.1')
  t.equal(w.exchanges[0]?.head.path, '/a/../b/%7Euser\\c?x=/../y')
  backend.write(ok)
  await client.read('ok')
})

t.test('what a client nominates in Connection ends here, but not what the mesh looks at', async (t) => {
  const w = await world(t, { server: { protectedHeaders: (name) => name === 'x-team' } })
  const client = w.client()
  client.write(get('/', 'Connection: X-Gone, X-Team, X-Request-Id\r\nX-Gone: 1\r\nX-Team: a\r\nX-Request-Id: r\r\n'))
  const backend = await w.backend.connection(0)
  t.equal(await backend.read('\r\n\r\n'), 'GET / HTTP/1.1\r\nhost: x\r\nx-team: a\r\nx-request-id: r\r\n\r\n')
})

t.test('answers without a body', async (t) => {
  const w = await world(t)
  const client = w.client()
  const backend = async () => w.backend.connection(0)
  client.write('HEAD /1 HTTP/1.1\r\nHost: x\r\n\r\n')
  await (await backend()).read('\r\n\r\n')
  ;(await backend()).write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
  t.equal(await client.read('\r\n\r\n'), 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n')
  for (const [answer, expected] of [
    ['HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
  ] as const) {
    client.write(get())
    await (await backend()).read('\r\n\r\n')
    ;(await backend()).write(answer)
    t.equal(await client.read('\r\n\r\n'), expected)
  }
  t.equal(w.backend.connections.length, 1, 'the connection served them all')
})

t.test('a client of HTTP/1.0 is told the end by the end, or stays where there is a length', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write('GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n')
  const backend = await w.backend.connection(0)
  t.equal(await backend.read('\r\n\r\n'), 'GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  backend.write(ok)
  t.equal(await client.read('ok'), 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok')
  client.write('GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n')
  await backend.read('\r\n\r\n')
  backend.write(
    'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  )
  t.equal(await client.rest(), 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc')
})

t.test('interim answers come through, before the final one', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(get())
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  backend.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
  t.equal(await client.read('\r\n\r\n'), 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
  backend.write(`HTTP/1.1 100 Continue\r\n\r\n${ok}`)
  t.equal(await client.read('ok'), ok, 'a 100 that the client did not ask for is not for it')
})

t.test('each event of a stream leaves at once', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(get())
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  backend.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n')
  await client.read('text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    backend.write(event)
    t.equal(await client.read(`${event}\r\n`), `9\r\n${event}\r\n`)
  }
  backend.socket.end()
  await client.read('0\r\n\r\n')
})

t.test('an answer of the proxy itself leaves the connection in order, whatever the body', async (t) => {
  const w = await world(t, {
    handler: async () => ({ head: { status: 403, headers: new Headers() }, body: bodyOf(Buffer.from('no')) }),
  })
  const client = w.client()
  client.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n${'a'.repeat(20_000)}`)
  t.equal(await client.read('no'), 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno')
  client.write(`POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`)
  await client.read('no')
  client.write('HEAD / HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal(await client.read('\r\n\r\n'), 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\n')
  t.equal(client.text, '')
  client.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n${'a'.repeat(150_000)}`)
  await client.read('no')
  await client.rest()
  t.notOk(client.reset, 'too much of it: the connection ends in order')
})

t.test('an answer that comes while the body is sent ends both connections, after the client has it', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nabc')
  const backend = await w.backend.connection(0)
  await backend.read('abc')
  backend.write('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n')
  t.match(await client.read('\r\n\r\n'), /^HTTP\/1\.1 413 /)
  for (let piece = 0; piece < 10 && !client.closed; piece += 1) client.write(Buffer.alloc(100_000))
  await until(() => backend.closed, 'the backend is rid of it')
  await client.rest()
  t.notOk(client.reset)
})

/** Writes `bytes` as fast as they are taken; says how many were. */
function pour({ socket }: RawPeer, bytes: number): () => number {
  let poured = 0
  const more = () => {
    while (poured < bytes) {
      poured += 65_536
      if (!socket.write(Buffer.alloc(65_536, 'a'))) return
    }
  }
  socket.on('drain', more)
  more()
  return () => poured
}

/** Until nothing more is taken. */
async function stands(poured: () => number): Promise<void> {
  let before = -1
  let same = 0
  await until(() => {
    same = poured() === before ? same + 1 : 0
    before = poured()
    return same > 20
  }, 'it stops')
}

t.test('bulk over sockets arrives as it was sent, though buffers are overwritten once they are released', async (t) => {
  poisonReleased(0xee)
  t.teardown(() => poisonReleased(undefined))
  const w = await world(t)
  const client = w.client()
  for (const size of [5_000, 30_000, 65_000, 200_000, 5_000_000]) {
    const body = randomBytes(size).toString('latin1')
    client.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n${body}`)
    const backend = await w.backend.connection(0)
    await backend.read('\r\n\r\n')
    await until(() => backend.text.length === size, `${size} bytes arrive`)
    t.ok(backend.text === body, `${size} bytes to the backend`)
    backend.text = ''
    backend.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${body}`)
    await client.read('\r\n\r\n')
    await until(() => client.text.length === size, `${size} bytes come back`)
    t.ok(client.text === body, `${size} bytes to the client`)
    client.text = ''
  }
})

const large = 128 * 1_048_576

t.test('an answer that a client does not take does not pile up here', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write(get())
  const backend = await w.backend.connection(0)
  await backend.read('\r\n\r\n')
  client.socket.pause()
  backend.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large}\r\n\r\n`)
  const poured = pour(backend, large)
  await stands(poured)
  t.ok(poured() < 32 * 1_048_576, `most of it waits at its source: ${poured()}`)
  let came = 0
  client.socket.removeAllListeners('data')
  client.socket.on('data', (chunk: Buffer) => {
    came += chunk.length
  })
  client.socket.resume()
  await until(() => came >= large, 'all of it comes')
})

t.test('a body that a backend does not take does not pile up here', async (t) => {
  const w = await world(t)
  w.backend.onConnection = ({ socket }) => socket.pause()
  const client = w.client()
  client.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${large}\r\n\r\n`)
  const poured = pour(client, large)
  await stands(poured)
  t.ok(poured() < 32 * 1_048_576, `most of it waits at its source: ${poured()}`)
  const { socket } = await w.backend.connection(0)
  let came = 0
  socket.removeAllListeners('data')
  socket.on('data', (chunk: Buffer) => {
    came += chunk.length
  })
  socket.resume()
  await until(() => came >= large, 'all of it comes')
})

t.test('a client that asks and asks and takes no answer is not asked on', async (t) => {
  const text = 'a'.repeat(2_000)
  let answered = 0
  const w = await world(t, {
    handler: async () => {
      answered += 1
      return { head: { status: 200, headers: new Headers() }, body: bodyOf(Buffer.from(text)) }
    },
  })
  const client = w.client()
  client.socket.pause()
  const asked = 100_000
  for (let turn = 0; turn < 100; turn += 1) client.write(get().repeat(asked / 100))
  await stands(() => answered)
  t.ok(answered < asked / 4, `${answered} of ${asked} are answered`)
  let came = 0
  client.socket.removeAllListeners('data')
  client.socket.on('data', (chunk: Buffer) => {
    came += chunk.length
  })
  client.socket.resume()
  await until(() => answered === asked, 'all answers')
  client.socket.end()
  await until(() => client.ended, 'the end')
  t.equal(came, asked * `HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n${text}`.length)
})
