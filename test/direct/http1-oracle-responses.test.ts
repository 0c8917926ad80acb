// Our reader of responses beside Node's client (llhttp), on the same bytes over a real socket: an answer that ours takes as a whole is
// the same answer to Node.
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { ResponseReader } from '../../waypoint/http1/response-reader.ts'
import { mutated, mutations } from '../fuzz/bytes.ts'
import { responseHazards } from '../helpers/http1-response-hazards.ts'

interface Answer {
  readonly status: number
  readonly fields: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

function lowered(raw: readonly string[]): readonly string[] {
  const fields: string[] = []
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase()
    if (name !== 'transfer-encoding') fields.push(name, raw[at + 1]!)
  }
  return fields
}

let bytesToSend: Buffer = Buffer.alloc(0)
const server = net.createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', () => socket.end(bytesToSend))
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo
t.teardown(() => server.close())

/** Undefined where Node's client fails, or its answer is not complete. */
function nodeReads(bytes: Buffer, method: string): Promise<Answer | undefined> {
  bytesToSend = bytes
  return new Promise((resolve) => {
    const request = http.request({ port, host: '127.0.0.1', method, agent: false, maxHeaderSize: 65_536 })
    request.on('error', () => resolve(undefined))
    request.on('response', (response) => {
      let body = ''
      response.setEncoding('latin1')
      response.on('data', (piece: string) => {
        body += piece
      })
      response.on('error', () => {})
      response.on('close', () => {
        const { statusCode: status = 0, rawHeaders, rawTrailers, complete } = response
        resolve(complete ? { status, fields: lowered(rawHeaders), body, trailers: lowered(rawTrailers) } : undefined)
      })
    })
    request.end()
  })
}

/** Undefined where the answer is not complete, or more stands behind it. */
function weRead(bytes: Buffer, method: string): Answer | undefined {
  let answer: Answer = { status: 0, fields: [], body: '', trailers: [] }
  let complete = false
  let failed = false
  const reader = new ResponseReader({
    onInformational: () => {},
    onHead: ({ status, headers }) => {
      answer = { ...answer, status, fields: headers.flat }
    },
    onData: (piece) => {
      answer = { ...answer, body: answer.body + piece.toString('latin1') }
    },
    onEnd: (trailers) => {
      answer = { ...answer, trailers: trailers?.flat ?? [] }
      complete = true
    },
    onError: () => {
      failed = true
    },
  })
  reader.expect({ method })
  reader.push(bytes)
  reader.finish()
  return complete && !failed ? answer : undefined
}

const start = fc.constantFrom(
  'HTTP/1.1 200 OK',
  'HTTP/1.1 404',
  'HTTP/1.0 200 OK',
  'HTTP/1.1 204 No Content',
  'HTTP/1.1 304 x',
)
const line = fc.constantFrom(
  'Content-Length: 3',
  'Transfer-Encoding: chunked',
  'Connection: close',
  'Connection: keep-alive',
  'X-A: \xe9',
  'Set-Cookie: a=b',
)
const rest = fc.constantFrom('', 'abc', '3\r\nabc\r\n0\r\n\r\n', '3;x="y"\r\nabc\r\n0\r\nX-T: u\r\n\r\n')
const before = fc.constantFrom('', '', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
const message = fc
  .tuple(before, start, fc.array(line, { maxLength: 3 }), rest)
  .map(([early, first, lines, body]) => `${early}${[first, ...lines].join('\r\n')}\r\n\r\n${body}`)
const seeds = fc.oneof(message, fc.constantFrom(...responseHazards.map((hazard) => hazard.input)))

t.test('an answer that we take is the same one to Node', async (t) => {
  let taken = 0
  await fc.assert(
    fc.asyncProperty(
      seeds,
      fc.oneof(fc.constant([]), mutations),
      fc.constantFrom('GET', 'HEAD'),
      async (text, changes, method) => {
        const bytes = mutated(Buffer.from(text, 'latin1'), changes)
        const ours = weRead(bytes, method)
        if (ours === undefined) return
        taken += 1
        const [one, other] = [JSON.stringify(ours), JSON.stringify(await nodeReads(bytes, method))]
        if (one !== other) throw new Error(`${one}\nis to Node\n${other}`)
      },
    ),
    { numRuns: 1_500 },
  )
  t.ok(taken > 100, 'many were taken')
})
