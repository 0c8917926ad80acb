import fc from 'fast-check'
import t from 'tap'
import type { Headers } from '../../../../waypoint/http/message.ts'
import { removeHopByHop } from '../../../../waypoint/http1/hop-by-hop.ts'
import { defaultHttp1Limits } from '../../../../waypoint/http1/limits.ts'
import type { Http1Request } from '../../../../waypoint/http1/request-head.ts'
import { RequestReader } from '../../../../waypoint/http1/request-reader.ts'
import type { Http1Response } from '../../../../waypoint/http1/response-head.ts'
import { ResponseReader } from '../../../../waypoint/http1/response-reader.ts'
import { MessageWriter } from '../../../../waypoint/http1/writer.ts'

type Seen = {
  readonly head: object
  readonly before?: readonly string[]
  readonly fields: readonly string[]
  body: string
  ended: boolean
}

function seen(head: Http1Request | Http1Response): Seen {
  const { headers, ...rest } = head
  return { head: rest, fields: [...headers.flat], body: '', ended: false }
}

/** What a reader makes of the pieces; each head is spoiled as soon as it was noted. */
function requests(pieces: readonly Buffer[], limits = defaultHttp1Limits): readonly Seen[] {
  const all: Seen[] = []
  const reader = new RequestReader(
    {
      onHead: (head) => {
        const before = [...head.headers.flat]
        removeHopByHop(head.headers)
        all.push({ ...seen(head), before })
        head.path = '/spoiled'
        head.headers.add('x-spoiled', 'yes')
        head.headers.delete('x-a')
      },
      onData: (chunk) => {
        all.at(-1)!.body += chunk.toString('latin1')
      },
      onEnd: () => {
        all.at(-1)!.ended = true
      },
      onError: (error) => void all.push({ head: { error: error.code }, fields: [], body: '', ended: false }),
    },
    { limits },
  )
  for (const piece of pieces) reader.push(piece)
  return all
}

const messages = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: keep-alive, x-a\r\n\r\n',
  'POST /p?q HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
  'POST /p?q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
  `GET /long HTTP/1.1\r\nHost: a\r\nX-Long: ${'l'.repeat(3_000)}\r\n\r\n`,
] as const

t.test('a request that comes again is what it was the first time, however it is cut', (t) => {
  // Other limits: such a reader remembers nothing.
  const limits = { ...defaultHttp1Limits }
  const alone = new Map(messages.map((message) => [message, requests([Buffer.from(message)], limits)] as const))
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...messages), { maxLength: 30 }), fc.array(fc.nat(400)), (sent, cuts) => {
      const bytes = Buffer.from(sent.join(''))
      const pieces: Buffer[] = []
      let at = 0
      for (const cut of cuts) {
        pieces.push(bytes.subarray(at, at + cut))
        at = Math.min(bytes.length, at + cut)
      }
      pieces.push(bytes.subarray(at))
      const expected = sent.flatMap((message) => alone.get(message)!)
      t.strictSame(requests(pieces.map((piece) => Buffer.from(piece))), expected)
    }),
    { numRuns: 60 },
  )
  t.end()
})

t.test('one that differs in its last byte, or goes on, is read anew', (t) => {
  const paths = requests([
    Buffer.from(
      'GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /a HTTP/1.1\r\nHost: b\r\n\r\n',
    ),
    Buffer.from('GET /a HTTP/1.1\r\nHost: b\r\nX: 1\r\n\r\nGET /a HTTP/1.1\r\nHost: b\r\n\rX'),
  ])
  t.match(
    paths.map(({ head }) => head),
    [{ authority: 'a' }, { authority: 'a' }, { authority: 'b' }, { authority: 'b' }, { error: 'line-end' }],
  )
  t.end()
})

const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, x-a\r\nX-A: 1\r\nX-B: 2\r\n\r\n'

t.test('the head of an answer means what the request makes of it, though its bytes are the same', (t) => {
  const heads: Http1Response[] = []
  const reader = new ResponseReader({
    onInformational: () => t.fail(),
    onHead: (head) => void heads.push(head),
    onData: () => {},
    onEnd: () => {},
    onError: (error) => t.fail(error.message),
  })
  for (const method of ['GET', 'GET', 'HEAD', 'HEAD', 'GET']) {
    reader.expect({ method })
    reader.push(Buffer.from(method === 'HEAD' ? answer : `${answer}ok`))
  }
  t.same(
    heads.map(({ framing }) => framing.kind),
    ['length', 'length', 'none', 'none', 'length'],
  )
  t.end()
})

t.test('fields that are shared are written as their own, before and after a change', (t) => {
  const written: string[] = []
  const writer = new MessageWriter((buffers) => void written.push(Buffer.concat([...buffers]).toString('latin1')))
  const reader = new ResponseReader({
    onInformational: () => t.fail(),
    onHead: (head) => {
      const { headers } = head
      removeHopByHop(headers)
      if (written.length === 2) headers.set('x-b', '3')
      if (written.length === 3) headers.delete('x-b')
      if (written.length === 4) t.equal(headers.copy().get('x-b'), '2')
      writer.response(head, { kind: 'length', bytes: 0 })
      writer.end()
      writer.flush()
    },
    onData: () => {},
    onEnd: () => {},
    onError: (error) => t.fail(error.message),
  })
  for (let count = 0; count < 5; count += 1) {
    reader.expect({ method: 'GET' })
    reader.push(Buffer.from(`${answer}ok`))
  }
  const plain = 'HTTP/1.1 200 OK\r\nx-b: 2\r\ncontent-length: 0\r\n\r\n'
  t.same(written, [plain, plain, plain.replace('2\r\n', '3\r\n'), plain.replace('x-b: 2\r\n', ''), plain])
  t.end()
})

t.test('what is protected from being nominated stays, whoever asked before', (t) => {
  const kept: (string | undefined)[] = []
  const text = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: x-a\r\n\r\n')
  let protect: ((name: string) => boolean) | undefined
  const reader = new RequestReader({
    onHead: ({ headers }: { readonly headers: Headers }) => {
      removeHopByHop(headers, protect)
      kept.push(headers.get('x-a'))
    },
    onData: () => {},
    onEnd: () => {},
    onError: (error) => t.fail(error.message),
  })
  const all = () => true
  for (const next of [undefined, undefined, all, undefined, all, all]) {
    protect = next
    reader.push(text)
  }
  t.same(kept, [undefined, undefined, '1', undefined, '1', '1'])
  t.end()
})

t.test('a reader with rules of its own reads the same bytes by its own rules', (t) => {
  const text = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-Own: 1\r\n\r\n')
  const schemes: string[] = []
  const handler = {
    onHead: ({ scheme }: Http1Request) => void schemes.push(scheme),
    onData: () => {},
    onEnd: () => {},
    onError: () => void schemes.push('error'),
  }
  for (const options of [{}, {}, { scheme: 'https' }, { limits: { ...defaultHttp1Limits, maxFields: 1 } }] as const) {
    new RequestReader(handler, options).push(text)
  }
  t.same(schemes, ['http', 'http', 'https', 'error'])
  t.end()
})
