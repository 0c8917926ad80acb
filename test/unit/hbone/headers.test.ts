import t from 'tap'
import { readAnswer, readRequest, requestFields } from '../../../core/hbone/headers.ts'

const connect = [
  [':method', 'CONNECT'],
  [':authority', '10.0.0.1:80'],
] as const
const source = 'spiffe://cluster.local/ns/shop/sa/frontend'
const name = 'x-culvert-source-identity'

t.test('what is sent is read again, the caller for whom a waypoint asks too', async (t) => {
  const headers = { baggage: 'a=b', forwarded: 'for=x', traceparent: '00-1-2-00', source }
  const fields = requestFields({ authority: '10.0.0.1:80', headers })
  t.same(fields.at(-1), [name, source])
  t.same(readRequest(fields), { authority: '10.0.0.1:80', headers })
  t.notOk(
    requestFields({ authority: '10.0.0.1:80', headers: { baggage: 'a=b' } }).some(([field]) => field === name),
    'without a caller there is no such header',
  )
})

t.test('a repeated header counts as absent, but a repeated caller is there and cannot be believed', async (t) => {
  for (const times of [2, 3]) {
    const fields = [...connect, ...Array.from({ length: times }, () => ['forwarded', 'for=x'] as const)]
    t.same(readRequest(fields)?.headers, {}, `${times} times`)
    const callers = [...connect, ...Array.from({ length: times }, () => [name, source] as const)]
    t.same(readRequest(callers)?.headers, { source: '' }, `${times} callers`)
  }
})

t.test('a CONNECT whose caller cannot be written is not sent at all', async (t) => {
  for (const bad of ['', ' x', 'a\r\nb: c', 'a\0']) {
    t.throws(() => requestFields({ authority: '10.0.0.1:80', headers: { source: bad } }), {
      code: 'TUNNEL_BAD_REQUEST',
    })
    const fields = requestFields({ authority: '10.0.0.1:80', headers: { baggage: bad } })
    t.equal(fields.length, 2, 'another header is left out')
  }
})

t.test('only a plain CONNECT is a request of a tunnel', async (t) => {
  t.equal(readRequest([[':method', 'GET'], connect[1]]), undefined)
  t.equal(readRequest([connect[0]]), undefined)
  t.equal(readRequest([...connect, [':protocol', 'websocket']]), undefined)
  t.equal(readAnswer([[':status', '200']]).status, 200)
  t.equal(readAnswer([[':status', 'OK']]).status, 0)
})
