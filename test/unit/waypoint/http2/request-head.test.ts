// Whatever header list comes in: refused in one of two ways, or a head that any writer may send.
import fc from 'fast-check'
import t from 'tap'
import type { HeaderField } from '../../../../core/hbone/h2/hpack-table.ts'
import { HttpError } from '../../../../waypoint/http/error.ts'
import { Headers } from '../../../../waypoint/http/message.ts'
import { isAuthority } from '../../../../waypoint/http1/authority.ts'
import { MessageWriter } from '../../../../waypoint/http1/writer.ts'
import { addFields, readTrailers } from '../../../../waypoint/http2/fields.ts'
import { type RequestRules, readRequest } from '../../../../waypoint/http2/request-head.ts'
import { readResponse, responseFields } from '../../../../waypoint/http2/response-head.ts'

const rules: RequestRules = { scheme: 'http', maxFields: 100, maxTargetBytes: 8_192 }

const bytes = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 12,
})
const names = fc.oneof(
  fc.constantFrom(
    ':method',
    ':scheme',
    ':authority',
    ':path',
    ':protocol',
    ':status',
    'host',
    'content-length',
    'cookie',
    'te',
    'expect',
    'authorization',
    'transfer-encoding',
    'x-a',
    'content_length',
  ),
  bytes,
)
const values = fc.oneof(
  fc.constantFrom('GET', 'POST', 'CONNECT', 'http', 'orders', 'orders:80', '/', '/a/../b?q', '*', 'websocket', '5', ''),
  fc.constantFrom('200', 'trailers', '100-continue'),
  bytes,
)
const field: fc.Arbitrary<HeaderField> = fc.tuple(names, values)
const base: readonly HeaderField[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'orders'],
  [':path', '/'],
]
const lists = fc.oneof(
  fc.array(field, { maxLength: 8 }),
  fc.array(field, { maxLength: 4 }).map((more) => [...base, ...more]),
)

t.test('a request is malformed, refused, or can be written as HTTP/1.1 as it is', (t) => {
  let passed = 0
  fc.assert(
    fc.property(lists, (list) => {
      let read: ReturnType<typeof readRequest>
      try {
        read = readRequest(list, rules)
      } catch (error: unknown) {
        return error instanceof HttpError
      }
      if (typeof read === 'string') return true
      passed += 1
      const { head } = read
      const written: Buffer[] = []
      const writer = new MessageWriter((buffers) => written.push(...buffers))
      writer.request(head, { kind: 'none' })
      writer.end()
      writer.flush()
      const lines = Buffer.concat(written).toString('latin1').split('\r\n')
      const fields =
        head.headers.count - (head.headers.has('content-length') ? 1 : 0) + (head.headers.has('te') ? 1 : 0)
      return (
        lines.length === fields + 4 &&
        isAuthority(head.authority) &&
        new Headers(head.headers.flat).flat.join() === head.headers.flat.join()
      )
    }),
    { numRuns: 20_000 },
  )
  t.ok(passed > 500, `${passed} passed`)
  t.end()
})

t.test('what a head says goes out as it came in', (t) => {
  fc.assert(
    fc.property(lists, (more) => {
      const list = [[':status', '200'] as const, ...more]
      const read = readResponse(list, false)
      if (typeof read === 'string') return true
      const out = responseFields(read.head, read.contentLength)
      const kept = list.filter(([name]) => name !== 'host' && name !== 'content-length')
      const length = read.contentLength === undefined ? [] : ['content-length', String(read.contentLength)]
      return JSON.stringify(out) === JSON.stringify([...kept.flat(), ...length])
    }),
    { numRuns: 5_000 },
  )
  t.end()
})

t.test('trailers are malformed or can be sent', (t) => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 5 }), (list) => {
      const trailers = readTrailers(list, false)
      if (typeof trailers === 'string' || trailers === undefined) return true
      return new Headers(trailers.flat).flat.join() === trailers.flat.join()
    }),
  )
  t.end()
})

t.test('fields of a connection never go out, and a length only where it is known', (t) => {
  const headers = new Headers(['connection', 'x', 'x', '1', 'te', 'gzip', 'host', 'a', 'content-length', '7'])
  t.same(addFields([], headers, undefined), ['x', '1'])
  t.same(addFields([], headers, 0), ['x', '1', 'content-length', '0'])
  t.same(addFields([], new Headers(['te', 'trailers']), 0), ['te', 'trailers'])
  t.same(addFields([], new Headers(), 3), ['content-length', '3'])
  t.end()
})
