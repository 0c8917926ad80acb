// A client of HTTP/1.1 in front of an endpoint of HTTP/2: bodies, trailers, early answers, a WebSocket, and ends that are none.
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import type net from 'node:net'
import t, { type Test } from 'tap'
import { ClientConnection } from '../../../waypoint/client-connection.ts'
import { webSocketAccept } from '../../../waypoint/http1/websocket.ts'
import { connectHttp2, origin } from '../../helpers/http2-waypoint.ts'
import { eventually, listen } from '../../helpers/tunnel.ts'

async function scene(
  t: Test,
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
): Promise<number> {
  const server = http2.createServer({ settings: { enableConnectProtocol: true } })
  const sessions: http2.ServerHttp2Session[] = []
  server.on('session', (session) => sessions.push(session))
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    onStream(stream, headers)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { connection } = await connectHttp2((server.address() as net.AddressInfo).port)
  const none = () => {
    throw new Error('it is HTTP/1.1')
  }
  const clients: ClientConnection[] = []
  const { server: front, port } = await listen((socket) => {
    clients.push(
      new ClientConnection(socket, {
        http1: {
          origin,
          handler: (exchange) => connection.send(exchange),
          clock: () => performance.now(),
        },
        http2: none,
        tcp: none,
      }),
    )
  })
  t.teardown(() => {
    for (const client of clients) client.destroy()
    connection.destroy()
    for (const session of sessions) session.destroy()
    front.close()
    server.close()
  })
  return port
}

t.test('bodies and trailers cross over, and nothing of the connection', async (t) => {
  const port = await scene(t, (stream, headers) => {
    let trailers: http2.IncomingHttpHeaders = {}
    stream.on('trailers', (head) => {
      trailers = head
    })
    stream.respond({ ':status': 200, 'x-seen': Object.keys(headers).join(' ') }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-back': String(trailers['x-sum']) }))
    stream.pipe(stream)
  })
  const request = http.request({
    port,
    host: '127.0.0.1',
    method: 'POST',
    path: '/a',
    headers: { host: 'orders', trailer: 'x-sum', connection: 'x-hop', 'x-hop': '1', te: 'trailers', 'x-a': '1' },
  })
  request.write('one ')
  request.addTrailers({ 'x-sum': '7' })
  request.end('two')
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  t.equal(Buffer.concat(chunks).toString(), 'one two')
  t.equal(response.trailers['x-back'], '7')
  t.same(String(response.headers['x-seen']).split(' ').sort(), [
    ':authority',
    ':method',
    ':path',
    ':scheme',
    'te',
    'x-a',
  ])
})

t.test('an Upgrade is an extended CONNECT there, and the client gets its proof', async (t) => {
  const port = await scene(t, (stream, headers) => {
    t.match(headers, { ':method': 'CONNECT', ':protocol': 'websocket', 'sec-websocket-version': '13' })
    t.notOk('sec-websocket-key' in headers)
    stream.respond({ ':status': 200 })
    stream.pipe(stream)
  })
  const key = Buffer.alloc(16, 5).toString('base64')
  const request = http.request({
    port,
    host: '127.0.0.1',
    path: '/chat',
    headers: { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-key': key, 'sec-websocket-version': '13' },
  })
  request.end()
  const [response, socket] = (await once(request, 'upgrade')) as [http.IncomingMessage, net.Socket]
  t.equal(response.headers['sec-websocket-accept'], webSocketAccept(key))
  socket.write('hello')
  t.equal(String((await once(socket, 'data'))[0]), 'hello')
  socket.destroy()
})

t.test('an Upgrade that is refused is an answer like any other', async (t) => {
  const port = await scene(t, (stream) => stream.respond({ ':status': 403 }, { endStream: true }))
  const request = http.request({
    port,
    host: '127.0.0.1',
    headers: { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-key': 'x', 'sec-websocket-version': '13' },
  })
  request.end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  t.equal(response.statusCode, 403)
  response.resume()
})

t.test(
  'a client that goes away resets the stream there, and an endpoint that resets breaks the answer off',
  async (t) => {
    const codes: (number | undefined)[] = []
    let begun: http2.ServerHttp2Stream | undefined
    const port = await scene(t, (stream, headers) => {
      stream.on('close', () => codes.push(stream.rstCode))
      if (headers[':path'] !== '/cut') return
      stream.respond()
      stream.write('abc')
      begun = stream
    })
    const gone = http.request({ port, host: '127.0.0.1', path: '/gone' }).on('error', () => {})
    gone.end()
    await new Promise((resolve) => setTimeout(resolve, 30))
    gone.socket?.resetAndDestroy()
    await eventually('reset', () => codes.length === 1)
    t.equal(codes[0], http2.constants.NGHTTP2_CANCEL)
    const cut = http.request({ port, host: '127.0.0.1', path: '/cut' }).on('error', () => {})
    cut.end()
    const [response] = (await once(cut, 'response')) as [http.IncomingMessage]
    // `close` would end it first.
    begun?.destroy(new Error('a defect'))
    response.resume()
    await t.rejects(once(response, 'end'))
    t.equal(response.complete, false)
  },
)
