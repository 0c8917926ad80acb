// Our reader of requests beside Node's (llhttp), on the same bytes over a real socket: what ours lets through, Node reads as the
// same requests. Ours may refuse more; what it refuses on purpose is in the table of hazards.
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { RequestReader } from '../../waypoint/http1/request-reader.ts'
import { type Mutation, mutated, mutations } from '../fuzz/bytes.ts'
import { requestHazards } from '../helpers/http1-hazards.ts'

interface Seen {
  readonly method: string
  readonly target: string
  readonly fields: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

interface Outcome {
  readonly requests: readonly Seen[]
  readonly refused: boolean
}

/** Node tells them, we keep them elsewhere. */
const elsewhere = new Set(['host', 'transfer-encoding'])

function kept(raw: readonly string[], minorVersion = 1): readonly string[] {
  const fields: string[] = []
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase()
    if (!elsewhere.has(name) && (name !== 'expect' || minorVersion === 1)) fields.push(name, raw[at + 1]!)
  }
  return fields
}

let requests: Seen[] = []
let refused = false

const server = http.createServer({
  maxHeaderSize: 65_536,
  keepAliveTimeout: 0,
  requestTimeout: 0,
  headersTimeout: 0,
})
server.maxHeadersCount = 0
function serve(request: http.IncomingMessage, response: http.ServerResponse): void {
  const { method = '', url = '' } = request
  const fields = kept(request.rawHeaders, request.httpVersionMinor)
  let body = ''
  request.setEncoding('latin1')
  request.on('data', (piece: string) => {
    body += piece
  })
  request.on('error', () => {})
  request.on('end', () => {
    requests.push({ method, target: url, fields, body, trailers: kept(request.rawTrailers) })
    response.end()
  })
}
server.on('request', serve)
// Node answers a missing Host and an unknown expectation itself.
server.on('checkExpectation', (_request, response: http.ServerResponse) => {
  refused = true
  response.writeHead(417, { connection: 'close' }).end()
})
server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
  // The end of the bytes within a request is no verdict on them.
  refused ||= error.code !== 'HPE_INVALID_EOF_STATE' && error.code !== 'ECONNRESET'
  setImmediate(() => socket.destroy())
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo
t.teardown(() => server.close())

async function nodeReads(bytes: Buffer): Promise<Outcome> {
  requests = []
  refused = false
  const socket = net.connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    answer += text
  })
  socket.on('error', () => {})
  socket.end(bytes)
  await once(socket, 'close')
  return { requests, refused: refused || /^HTTP\/1\.1 [45]/m.test(answer) }
}

function weRead(bytes: Buffer): Outcome & { readonly code: string } {
  const read: Seen[] = []
  let code = ''
  let now: Seen = { method: '', target: '', fields: [], body: '', trailers: [] }
  const reader = new RequestReader({
    onHead: ({ method, path, headers }) => {
      now = { method, target: path, fields: headers.flat, body: '', trailers: [] }
    },
    onData: (piece) => {
      now = { ...now, body: now.body + piece.toString('latin1') }
    },
    onEnd: (trailers) => void read.push({ ...now, trailers: trailers?.flat ?? [] }),
    onError: (error) => {
      code = error.code
    },
  })
  reader.push(bytes)
  return { requests: read, refused: code !== '', code }
}

/** A target in absolute form is taken apart by us, and by whoever uses Node. */
function samePath(ours: string, node: string): boolean {
  if (ours === node) return true
  const rest = /^http:\/\/[^/?]*(.*)$/i.exec(node)?.[1]
  return rest !== undefined && ours === (rest.startsWith('/') ? rest : `/${rest}`)
}

function difference(ours: Outcome, node: Outcome): string {
  for (const [index, our] of ours.requests.entries()) {
    const their = node.requests[index]
    if (their === undefined) return `Node has no request ${index}: ${JSON.stringify(our)}`
    if (!samePath(our.target, their.target)) return `${our.target} is ${their.target} to Node`
    const [one, other] = [JSON.stringify({ ...our, target: '' }), JSON.stringify({ ...their, target: '' })]
    if (one !== other) return `${one}\nis to Node\n${other}`
    // Node reads nothing behind a request that asks for an upgrade, whichever; we take off all but WebSocket's.
    if (our.fields.includes('upgrade')) break
  }
  return ''
}

for (const { name, input, outcome, nodeRefuses } of requestHazards) {
  t.test(`Node and ${name}`, async (t) => {
    const bytes = Buffer.from(input, 'latin1')
    const node = await nodeReads(bytes)
    t.equal(difference(weRead(bytes), node), '')
    if (typeof outcome === 'string') t.equal(node.refused, nodeRefuses, 'who refuses is as the table says')
  })
}

const start = fc.constantFrom(
  'GET / HTTP/1.1',
  'POST /a?b HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'GET http://y/z HTTP/1.1',
  'PUT /c HTTP/1.0',
)
const line = fc.constantFrom(
  'X-A: b',
  'X-A:b\t',
  'Accept: \xe9',
  'Connection: keep-alive',
  'Connection: close',
  'Content-Length: 3',
  'Transfer-Encoding: chunked',
  'Expect: 100-continue',
  'Cookie: a=b',
  'X-Empty:',
)
const rest = fc.constantFrom('', 'abc', '3\r\nabc\r\n0\r\n\r\n', '3;x="y"\r\nabc\r\n0\r\nX-T: u\r\n\r\n', '0\r\n\r\n')
const message = fc
  .tuple(start, fc.array(line, { maxLength: 4 }), rest)
  .map(([first, lines, body]) => `${[first, 'Host: x', ...lines].join('\r\n')}\r\n\r\n${body}`)
const seeds = fc.oneof(message, fc.constantFrom(...requestHazards.map((hazard) => hazard.input)))
const stream = fc.array(seeds, { minLength: 1, maxLength: 3 }).map((all) => Buffer.from(all.join(''), 'latin1'))

async function agree(bytes: Buffer, changes: readonly Mutation[]): Promise<void> {
  const wrong = mutated(bytes, changes)
  const problem = difference(weRead(wrong), await nodeReads(wrong))
  if (problem !== '') throw new Error(problem)
}

t.test('what we let through, Node reads as the same requests', async (t) => {
  await fc.assert(fc.asyncProperty(stream, fc.constant([]), agree), { numRuns: 300 })
  await fc.assert(fc.asyncProperty(stream, mutations, agree), { numRuns: 1_000 })
  t.pass('no difference')
})
