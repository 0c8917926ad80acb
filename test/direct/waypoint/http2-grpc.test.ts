// gRPC through the HTTP/2 of a waypoint, over sockets and inside tunnels: the four kinds of calls, deadlines, trailers, and answers that
// are all trailers. Frames of gRPC are made by hand (a byte, a length, a message).
import http2 from 'node:http2'
import { Readable } from 'node:stream'
import t from 'tap'
import { poisonReleased } from '../../../core/net/read-buffers.ts'
import { proxied } from '../../helpers/http2-proxy.ts'
import { eventually } from '../../helpers/tunnel.ts'

poisonReleased(0xdb)

function message(text: string | Buffer): Buffer {
  const body = Buffer.from(text)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

/** Messages out of the bytes of a stream. */
class Messages {
  readonly all: string[] = []
  #rest = Buffer.alloc(0)

  push(chunk: Buffer): readonly string[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const found: string[] = []
    while (this.#rest.length >= 5 && this.#rest.length >= 5 + this.#rest.readUInt32BE(1)) {
      const end = 5 + this.#rest.readUInt32BE(1)
      found.push(this.#rest.toString('latin1', 5, end))
      this.#rest = this.#rest.subarray(end)
    }
    this.all.push(...found)
    return found
  }
}

function serve(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
  const path = String(headers[':path'])
  const incoming = new Messages()
  const finish = (status: string) => {
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status, 'grpc-message': 'bye' }))
    stream.end()
  }
  if (path === '/echo/Fails') {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5' }, { endStream: true })
    return
  }
  if (path === '/echo/Never') {
    stream.resume()
    return
  }
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'x-te': headers.te }, { waitForTrailers: true })
  stream.on('data', (chunk: Buffer) => {
    const found = incoming.push(chunk)
    if (path === '/echo/Both') for (const text of found) stream.write(message(`re: ${text}`))
    if (path === '/echo/Enough' && incoming.all.length > 1) finish('8')
  })
  stream.on('end', () => {
    if (path === '/echo/One') stream.write(message(`re: ${incoming.all[0]}`))
    if (path === '/echo/Many') for (let at = 0; at < 200; at += 1) stream.write(message(`${at} ${'x'.repeat(at * 50)}`))
    if (path === '/echo/Sum') stream.write(message(String(incoming.all.reduce((sum, text) => sum + text.length, 0))))
    if (path !== '/echo/Enough') finish('0')
  })
}

interface Call {
  readonly stream: http2.ClientHttp2Stream
  readonly messages: Messages
  readonly status: () => string | undefined
  readonly headers: () => http2.IncomingHttpHeaders
  readonly closed: Promise<void>
}

function call(client: http2.ClientHttp2Session, name: string, more: http2.OutgoingHttpHeaders = {}): Call {
  const stream = client.request({
    ':method': 'POST',
    ':path': `/echo/${name}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': '5S',
    ...more,
  })
  const messages = new Messages()
  let status: string | undefined
  let headers: http2.IncomingHttpHeaders = {}
  stream.on('error', () => {})
  stream.on('response', (head) => {
    headers = head
    status = head['grpc-status'] as string | undefined
  })
  stream.on('trailers', (trailers) => {
    status = trailers['grpc-status'] as string | undefined
  })
  stream.on('data', (chunk: Buffer) => messages.push(chunk))
  const closed = new Promise<void>((resolve) => stream.on('close', resolve))
  return { stream, messages, status: () => status, headers: () => headers, closed }
}

for (const way of ['sockets', 'tunnels'] as const) {
  t.test(`over ${way}`, async (t) => {
    const { client, upstream } = await proxied(t, way, serve)

    t.test('unary, with trailers and te', async (t) => {
      const { stream, messages, status, headers, closed } = call(client, 'One')
      stream.end(message('hello'))
      await closed
      t.same(messages.all, ['re: hello'])
      t.equal(status(), '0')
      t.equal(headers()['x-te'], 'trailers')
    })

    t.test('many unary calls at once', async (t) => {
      const texts = Array.from({ length: 300 }, (_, at) => `${at}-${'y'.repeat((at * 37) % 9_000)}`)
      const answers: (string | undefined)[] = []
      for (let at = 0; at < texts.length; at += 50) {
        const batch = texts.slice(at, at + 50).map(async (text) => {
          const { stream, messages, closed, status } = call(client, 'One')
          stream.end(message(text))
          await closed
          return status() === '0' ? messages.all[0] : undefined
        })
        answers.push(...(await Promise.all(batch)))
      }
      t.same(
        answers,
        texts.map((text) => `re: ${text}`),
      )
    })

    t.test('an answer that is a stream', async (t) => {
      const { stream, messages, status, closed } = call(client, 'Many')
      stream.end(message('go'))
      await closed
      t.same(
        messages.all,
        Array.from({ length: 200 }, (_, at) => `${at} ${'x'.repeat(at * 50)}`),
      )
      t.equal(status(), '0')
    })

    t.test('a request that is a stream, of 16 MiB', async (t) => {
      const { stream, messages, status, closed } = call(client, 'Sum')
      // Node resets what waits in it beyond some MiB.
      Readable.from(Array.from({ length: 64 }, (_, at) => message(Buffer.alloc(256 * 1024, at)))).pipe(stream)
      await closed
      t.same(messages.all, [String(16 * 1024 * 1024)])
      t.equal(status(), '0')
    })

    t.test('both ways at once, one message after the other', async (t) => {
      const { stream, messages, status, closed } = call(client, 'Both')
      for (let at = 0; at < 20; at += 1) {
        stream.write(message(`${at}`))
        await eventually('its answer', () => messages.all.length === at + 1)
      }
      stream.end()
      await closed
      t.equal(messages.all.at(-1), 're: 19')
      t.equal(status(), '0')
    })

    t.test('a status before the client has ended', async (t) => {
      const { stream, status, closed } = call(client, 'Enough')
      stream.write(message('one'))
      stream.write(message('two'))
      await closed
      t.equal(status(), '8')
      t.equal(stream.rstCode, 0)
    })

    t.test('bulk that is reset half-way leaves the others their windows', async (t) => {
      for (let round = 0; round < 12; round += 1) {
        const { stream, closed } = call(client, round % 2 === 0 ? 'Never' : 'Sum')
        Readable.from(Array.from({ length: 8 }, () => message(Buffer.alloc(256 * 1024))))
          .on('error', () => {})
          .pipe(stream)
        await eventually('it is under way', () => upstream.active > 0)
        for (let turn = 0; turn < 5 * round; turn += 1) await new Promise((resolve) => setImmediate(resolve))
        stream.close(http2.constants.NGHTTP2_CANCEL)
        await closed
      }
      const { stream, messages, status, closed } = call(client, 'Sum')
      Readable.from(Array.from({ length: 64 }, () => message(Buffer.alloc(256 * 1024)))).pipe(stream)
      await closed
      t.same(messages.all, [String(16 * 1024 * 1024)])
      t.equal(status(), '0')
    })

    t.test('an answer that is all trailers', async (t) => {
      const { stream, status, messages, closed } = call(client, 'Fails')
      stream.end(message('x'))
      await closed
      t.equal(status(), '5')
      t.same(messages.all, [])
    })

    t.test('a deadline of the client resets the call at the server', async () => {
      await eventually('nothing is under way', () => upstream.active === 0)
      const { stream, closed } = call(client, 'Never')
      stream.write(message('x'))
      await eventually('it is under way', () => upstream.active === 1)
      stream.close(http2.constants.NGHTTP2_CANCEL)
      await closed
      await eventually('it is reset', () => upstream.active === 0)
    })
  })
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

t.test('bulk both ways inside tunnels with buffers that are poisoned when released', async (t) => {
  const { client } = await proxied(t, 'tunnels', (stream) => {
    stream.respond()
    stream.pipe(stream)
  })
  const size = 24 * 1024 * 1024
  const sent = Buffer.alloc(size)
  for (let at = 0; at < size; at += 4) sent.writeUInt32LE(at % 0xfffffff, at)
  const streams = await Promise.all(
    [0, 1, 2].map(async (index) => {
      const stream = client.request({ ':method': 'POST', ':path': `/${index}` })
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      Readable.from(pieces(sent.subarray(index * 4096))).pipe(stream)
      await new Promise((resolve) => stream.on('close', resolve))
      return Buffer.concat(chunks).equals(sent.subarray(index * 4096))
    }),
  )
  t.same(streams, [true, true, true])
})
