// Reading in pieces, pausing, pipelining, upgrades and the end of a connection.
import fc from 'fast-check'
import t from 'tap'
import {
  cutAt,
  Events,
  feed,
  readRequests,
  readResponse,
  requestReader,
  responseReader,
  singleBytes,
} from '../../../helpers/http1-events.ts'
import { requestHazards } from '../../../helpers/http1-hazards.ts'
import { responseHazards } from '../../../helpers/http1-response-hazards.ts'

const post = 'POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello'
const chunked =
  'PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0a\r\n0123456789\r\n0\r\nX-Sum: 7\r\n\r\n'
const get = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const pipeline = `${post}${chunked}${get}`
const pipelineEvents = [
  'POST http://x /a?b=c 1.1 [content-length=5;] length 5',
  'data hello',
  'end',
  'PUT http://x /c 1.1 [] chunked',
  'data abc0123456789',
  'end x-sum=7;',
  'GET http://x / 1.1 [] none',
  'end',
]
const cuts = fc.array(fc.nat(1_000), { maxLength: 12 })

t.test('requests behind each other come out one after the other, however they are cut', (t) => {
  const bytes = Buffer.from(pipeline)
  t.same(readRequests([bytes]), pipelineEvents)
  t.same(readRequests(singleBytes(bytes)), pipelineEvents)
  fc.assert(fc.property(cuts, (places) => t.matchOnly(readRequests(cutAt(bytes, places)), pipelineEvents)))
  t.end()
})

t.test('hazards end the same, however they are cut', (t) => {
  const request = fc.constantFrom(...requestHazards)
  const differs = (one: readonly string[], other: readonly string[]) => JSON.stringify(one) === JSON.stringify(other)
  fc.assert(
    fc.property(request, cuts, ({ input }, places) => {
      const bytes = Buffer.from(input, 'latin1')
      return differs(readRequests(cutAt(bytes, places)), readRequests([bytes]))
    }),
    { numRuns: 1_000 },
  )
  fc.assert(
    fc.property(fc.constantFrom(...responseHazards), cuts, ({ input, expected, end }, places) => {
      const bytes = Buffer.from(input, 'latin1')
      return differs(readResponse(cutAt(bytes, places), expected, end), readResponse([bytes], expected, end))
    }),
    { numRuns: 1_000 },
  )
  t.end()
})

t.test('damaged bytes end the same, however they are cut', (t) => {
  const damage = fc.array(fc.tuple(fc.nat(pipeline.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 3 })
  fc.assert(
    fc.property(damage, cuts, (changes, places) => {
      const bytes = Buffer.from(pipeline)
      for (const [at, byte] of changes) bytes[at] = byte
      const whole = JSON.stringify(readRequests([bytes]))
      return (
        JSON.stringify(readRequests(cutAt(bytes, places))) === whole &&
        JSON.stringify(readRequests(singleBytes(bytes))) === whole
      )
    }),
    { numRuns: 1_000 },
  )
  t.end()
})

t.test('a reader that is paused at every event loses nothing and calls nothing back meanwhile', (t) => {
  for (const pieces of [[Buffer.from(pipeline)], singleBytes(Buffer.from(pipeline))]) {
    const events = new Events()
    const reader = requestReader(events)
    events.before = () => {
      t.equal(reader.paused, false)
      reader.pause()
    }
    for (const piece of pieces) {
      let free = reader.push(piece)
      while (!free || reader.paused) free = reader.resume()
    }
    t.same(events.done(), pipelineEvents)
  }
  t.end()
})

t.test('push says whether it holds bytes back', (t) => {
  const events = new Events()
  const reader = requestReader(events)
  reader.pause()
  t.equal(reader.push(Buffer.from(post)), false)
  t.equal(reader.push(Buffer.from(get)), false)
  t.same(events.done(), [])
  t.equal(reader.idle, false)
  t.equal(reader.resume(), true)
  t.equal(events.done().length, 5)
  t.equal(reader.idle, true)
  t.end()
})

t.test('bodies are slices of what was pushed', (t) => {
  const events = new Events()
  const pushed = Buffer.from(post)
  let same = false
  events.data = (chunk) => {
    same = chunk.buffer === pushed.buffer && chunk.byteOffset === pushed.byteOffset + post.length - 5
  }
  requestReader(events).push(pushed)
  t.equal(same, true)
  t.end()
})

t.test('nothing is read behind a request that closes the connection', (t) => {
  const close = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: x, Close\r\n\r\n'
  t.same(readRequests([Buffer.from(`${close}${get}`)]), ['GET http://x / 1.1 [connection=x, Close;] none close', 'end'])
  const old = 'GET / HTTP/1.0\r\nHost: x\r\n\r\n'
  t.same(readRequests([Buffer.from(`${old}${get}`)]), ['GET http://x / 1.0 [] none close', 'end'])
  const kept = 'GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n'
  t.equal(readRequests([Buffer.from(`${kept}${get}`)]).length, 4)
  t.end()
})

t.test('nothing is read behind an error', (t) => {
  t.same(readRequests([Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from(get)]), ['error 400 host'])
  t.end()
})

t.test('HTTP/1.0 has no expectations, and its Host may come from the connection', (t) => {
  const old = 'POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na'
  t.same(readRequests([Buffer.from(old)], { defaultAuthority: '10.0.0.1:80' }), [
    'POST http://10.0.0.1:80 / 1.0 [content-length=1;] length 1 close',
    'data a',
    'end',
  ])
  t.end()
})

const upgrade = 'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n'
const upgradeHead = 'GET http://x /ws 1.1 [connection=Upgrade;upgrade=WebSocket;] none websocket'

t.test('what stands behind an upgrade waits until it is accepted', (t) => {
  const events = new Events()
  const reader = requestReader(events)
  t.equal(reader.push(Buffer.from(`${upgrade}\x81\x01a`, 'latin1')), false)
  t.same([...events.done()], [upgradeHead, 'end'])
  t.equal(reader.acceptTunnel(), true)
  reader.push(Buffer.from('more'))
  reader.finish()
  t.same(events.done(), [upgradeHead, 'end', 'data \x81\x01amore', 'end'])
  t.end()
})

t.test('a refused upgrade is a request like another one', (t) => {
  const events = new Events()
  const reader = requestReader(events)
  reader.push(Buffer.from(`${upgrade}${get}`))
  t.equal(reader.refuseTunnel(), true)
  t.same(events.done(), [upgradeHead, 'end', 'GET http://x / 1.1 [] none', 'end'])
  t.throws(() => reader.acceptTunnel())
  t.end()
})

t.test('CONNECT is let in where it is allowed, to a host and port only', (t) => {
  const connect = (to: string) => Buffer.from(`CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`)
  t.same(readRequests([connect('a:80')], { allowConnect: true }), ['CONNECT http://a:80  1.1 [] none', 'end'])
  t.same(readRequests([connect('a')], { allowConnect: true }), ['error 400 target'])
  t.end()
})

t.test('the end of a connection within a request is an error, between two it is none', (t) => {
  t.same(readRequests([Buffer.from(get)], {}, true), ['GET http://x / 1.1 [] none', 'end'])
  t.same(readRequests([], {}, true), [])
  for (const length of [1, 20, post.length - 1]) {
    t.equal(readRequests([Buffer.from(post.slice(0, length))], {}, true).at(-1), 'error 400 truncated')
  }
  t.end()
})

t.test('the end waits for a reader that is paused', (t) => {
  const events = new Events()
  const reader = responseReader(events)
  reader.expect({ method: 'GET' })
  reader.pause()
  reader.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\nabc'))
  reader.finish()
  t.same(events.done(), [])
  reader.resume()
  t.same(events.done(), ['200 [] close close', 'data abc', 'end'])
  t.end()
})

t.test('an upstream connection carries one request after the other, each with its own method', (t) => {
  const events = new Events()
  const reader = responseReader(events)
  const head = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n')
  reader.expect({ method: 'HEAD' })
  t.throws(() => reader.expect({ method: 'GET' }))
  reader.push(head)
  t.equal(reader.reusable, true)
  reader.expect({ method: 'GET' })
  t.same(feed(reader, events, [head, Buffer.from('ab')]), [
    '200 [content-length=2;] none (2)',
    'end',
    '200 [content-length=2;] length 2',
    'data ab',
    'end',
  ])
  t.equal(reader.reusable, true)
  reader.push(Buffer.from('x'))
  t.equal(reader.reusable, false)
  t.equal(events.done().at(-1), 'error 502 unexpected-bytes')
  t.end()
})

t.test('within onEnd of an answer it is known that more stands behind it', (t) => {
  const events = new Events()
  const reader = responseReader(events)
  const seen: boolean[] = []
  events.before = () => seen.push(reader.reusable)
  reader.expect({ method: 'GET' })
  reader.push(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx'))
  t.same(seen, [false, false, false])
  t.end()
})

t.test('no connection is idle within a head', (t) => {
  const reader = requestReader(new Events())
  t.equal(reader.idle, true)
  reader.push(Buffer.from('G'))
  t.equal(reader.idle, false)
  t.end()
})
