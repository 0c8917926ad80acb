// What is written, and that it reads back as what it was.
import fc from 'fast-check'
import t from 'tap'
import { HttpError } from '../../../../waypoint/http/error.ts'
import { Headers, type RequestHead } from '../../../../waypoint/http/message.ts'
import { chunkedBody, type Framing, noBody, tunnelled, untilClose } from '../../../../waypoint/http1/framing.ts'
import { MessageWriter } from '../../../../waypoint/http1/writer.ts'
import { flatText, readRequests, readResponse } from '../../../helpers/http1-events.ts'

function written(write: (writer: MessageWriter) => void): {
  readonly text: string
  readonly buffers: readonly Buffer[]
} {
  const buffers: Buffer[] = []
  const writer = new MessageWriter((batch) => void buffers.push(...batch))
  write(writer)
  writer.flush()
  writer.flush()
  return { text: Buffer.concat(buffers).toString('latin1'), buffers }
}

function request(more: Partial<RequestHead> = {}, fields: readonly string[] = []): RequestHead {
  return { method: 'GET', scheme: 'http', authority: 'x:80', path: '/a?b', headers: new Headers(fields), ...more }
}

t.test('a request without a body', (t) => {
  const { text } = written((writer) => {
    writer.request(request({}, ['Accept', '*/*']), noBody)
    writer.end()
  })
  t.equal(text, 'GET /a?b HTTP/1.1\r\nhost: x:80\r\naccept: */*\r\n\r\n')
  t.end()
})

t.test('a head and a small body are one buffer, a large piece is not copied', (t) => {
  const large = Buffer.alloc(10_000, 'l')
  const { buffers } = written((writer) => {
    writer.response({ status: 200, headers: new Headers(['a', 'b']) }, chunkedBody)
    writer.data(Buffer.from('small'))
    writer.data(large)
    writer.data(Buffer.alloc(0))
    writer.end(new Headers(['x-sum', '7']))
  })
  t.equal(buffers.length, 3)
  t.equal(buffers[1], large)
  t.equal(String(buffers[0]), 'HTTP/1.1 200 OK\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n5\r\nsmall\r\n2710\r\n')
  t.equal(String(buffers[2]), '\r\n0\r\nx-sum: 7\r\n\r\n')
  t.end()
})

t.test('the framing decides, whatever the headers say', (t) => {
  const fields = [
    'content-length',
    '9',
    'Transfer-Encoding',
    'gzip',
    'Host',
    'evil',
    'connection',
    'x',
    'keep-alive',
    '1',
  ]
  const head = request({ method: 'POST' }, [
    ...fields,
    'upgrade',
    'h2c',
    'trailer',
    'x',
    'http2-settings',
    'A',
    'a',
    'b',
  ])
  const text = (framing: Framing) => written((writer) => writer.request(head, framing)).text
  t.equal(text(noBody), 'POST /a?b HTTP/1.1\r\nhost: x:80\r\na: b\r\n\r\n')
  t.equal(text(chunkedBody), 'POST /a?b HTTP/1.1\r\nhost: x:80\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n')
  t.equal(text({ kind: 'length', bytes: 0 }), 'POST /a?b HTTP/1.1\r\nhost: x:80\r\na: b\r\ncontent-length: 0\r\n\r\n')
  t.throws(() => text(untilClose))
  t.end()
})

t.test('statuses without a body have none', (t) => {
  const head = (status: number) => ({ status, headers: new Headers(['content-length', '3']) })
  const text = (status: number, framing: Framing) => written((writer) => writer.response(head(status), framing)).text
  t.equal(text(204, { kind: 'none', declared: 3 }), 'HTTP/1.1 204 No Content\r\n\r\n')
  t.equal(text(304, { kind: 'none', declared: 3 }), 'HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n')
  t.equal(text(200, { kind: 'none', declared: 3 }), 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n')
  t.equal(text(599, untilClose), 'HTTP/1.1 599 \r\n\r\n')
  for (const status of [103, 204, 304]) t.throws(() => text(status, chunkedBody), HttpError)
  for (const status of [0, 99, 600, 200.5]) t.throws(() => text(status, noBody), HttpError)
  t.end()
})

t.test('informational answers come before the final one', (t) => {
  const { text } = written((writer) => {
    writer.response({ status: 103, headers: new Headers(['link', '</a>']) }, noBody)
    writer.response({ status: 200, headers: new Headers() }, { kind: 'length', bytes: 1 }, { connection: 'close' })
    writer.data(Buffer.from('a'))
    writer.end()
  })
  t.equal(
    text,
    'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na',
  )
  t.end()
})

t.test('an upgrade and TE are nominated in Connection', (t) => {
  const upgrade = written((writer) => writer.request(request(), noBody, { upgrade: 'websocket' })).text
  t.match(upgrade, '\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
  const trailers = written((writer) => writer.request(request({}, ['te', 'trailers']), noBody, { connection: 'close' }))
  t.match(trailers.text, '\r\nte: trailers\r\nconnection: close, te\r\n\r\n')
  const switched = written((writer) => {
    writer.response({ status: 101, headers: new Headers() }, tunnelled, { upgrade: 'websocket' })
    writer.data(Buffer.from('raw'))
  })
  t.equal(switched.text, 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw')
  t.throws(() => written((writer) => writer.request(request(), noBody, { upgrade: 'a\r\nb' })), HttpError)
  t.end()
})

t.test('a head that cannot be sent is not, and leaves nothing behind', (t) => {
  const bad: readonly Partial<RequestHead>[] = [
    { path: '/a b' },
    { path: '/a\r\nX: y' },
    { path: '/\u010a' },
    { path: '/a#b' },
    { path: '/\xe9' },
    { path: 'a' },
    { path: '' },
    { path: '*' },
    { method: 'GET /' },
    { method: 'G\r\n' },
    { method: '' },
    { authority: '' },
    { authority: 'a\r\nb' },
    { authority: 'u@a' },
  ]
  for (const more of bad) {
    const { text } = written((writer) => {
      t.throws(() => writer.request(request(more), chunkedBody), { code: 'unsendable' }, JSON.stringify(more))
      writer.request(request(), noBody)
    })
    t.equal(text, 'GET /a?b HTTP/1.1\r\nhost: x:80\r\n\r\n')
  }
  t.end()
})

t.test('a body is as long as was said', (t) => {
  const length: Framing = { kind: 'length', bytes: 3 }
  const three = Buffer.from('abc')
  const said = { code: 'body-length' }
  written((writer) => {
    writer.request(request(), length)
    t.throws(() => writer.data(Buffer.from('abcd')), said)
    t.throws(() => writer.end(), said)
  })
  written((writer) => {
    writer.request(request(), length)
    writer.data(three)
    t.throws(() => writer.data(three), said)
  })
  written((writer) => {
    writer.request(request(), noBody)
    t.throws(() => writer.data(three), said)
    t.throws(() => writer.request(request(), noBody), 'the one before has not ended')
  })
  t.throws(() => written((writer) => writer.end()), said)
  t.end()
})

t.test('a trailer that would be refused is not sent', (t) => {
  const { text } = written((writer) => {
    writer.request(request(), chunkedBody)
    writer.end(new Headers(['content-length', '3', 'grpc-status', '0']))
  })
  t.ok(text.endsWith('\r\n\r\n0\r\ngrpc-status: 0\r\n\r\n'))
  t.end()
})

const characters = (all: string) => fc.string({ unit: fc.constantFrom(...all), minLength: 1, maxLength: 12 })
const fieldName = characters('abcdefgXYZ-09!#$%&*+.^`|~').map((name) => `x-${name}`)
const fieldValue = fc
  .string({
    unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code === 0x7f ? 0x20 : code)),
  })
  .map((value) => value.replace(/^[\t ]+|[\t ]+$/g, ''))
const fields = fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 8 }).map((pairs) => new Headers(pairs.flat()))
const path = characters('abc/?&=%2F.;:@!$,()*+~\\"<>|{}').map((rest) => `/${rest}`)
const body = fc.array(fc.uint8Array({ minLength: 1, maxLength: 9_000 }), { maxLength: 4 })

t.test('what is written reads back as what it was', (t) => {
  const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS')
  fc.assert(
    fc.property(
      method,
      path,
      fields,
      body,
      fc.boolean(),
      fc.option(fields),
      (verb, target, headers, pieces, chunk, end) => {
        const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
        const framing: Framing = chunk ? chunkedBody : { kind: 'length', bytes }
        const { buffers } = written((writer) => {
          writer.request(request({ method: verb, path: target, headers }), framing)
          for (const piece of pieces) writer.data(Buffer.from(piece))
          writer.end(end ?? undefined)
        })
        const length = chunk ? '' : `content-length=${bytes};`
        const data = Buffer.concat(pieces).toString('latin1')
        const trailers = chunk && end !== null && end.count > 0 ? ` ${flatText(end)}` : ''
        const expected = [
          `${verb} http://x:80 ${target} 1.1 [${flatText(headers)}${length}] ${chunk ? 'chunked' : `length ${bytes}`}`,
          ...(data === '' ? [] : [`data ${data}`]),
          `end${trailers}`,
        ]
        return JSON.stringify(readRequests(buffers)) === JSON.stringify(expected)
      },
    ),
  )
  t.end()
})

t.test('answers read back as what they were', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 200, max: 599 }), fields, body, (status, headers, pieces) => {
      const bodiless = status === 204 || status === 304
      const { buffers } = written((writer) => {
        writer.response({ status, headers }, bodiless ? noBody : chunkedBody)
        for (const piece of bodiless ? [] : pieces) writer.data(Buffer.from(piece))
        writer.end()
      })
      const data = bodiless ? '' : Buffer.concat(pieces).toString('latin1')
      const expected = [
        `${status} [${flatText(headers)}] ${bodiless ? 'none' : 'chunked'}`,
        ...(data === '' ? [] : [`data ${data}`]),
        'end',
      ]
      return JSON.stringify(readResponse(buffers, { method: 'GET' })) === JSON.stringify(expected)
    }),
  )
  t.end()
})
