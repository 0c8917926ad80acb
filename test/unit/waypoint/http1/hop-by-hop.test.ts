import t from 'tap'
import { Headers } from '../../../../waypoint/http/message.ts'
import { removeHopByHop } from '../../../../waypoint/http1/hop-by-hop.ts'

function left(fields: readonly string[], protect?: (name: string) => boolean): readonly string[] {
  const headers = new Headers(fields)
  removeHopByHop(headers, protect)
  return headers.flat
}

t.test('what is for one connection goes', (t) => {
  const names = [
    'connection',
    'keep-alive',
    'proxy-connection',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'http2-settings',
  ]
  t.same(left([...names.flatMap((name) => [name, 'x']), 'a', 'b']), ['a', 'b'])
  t.same(left(['a', 'b']), ['a', 'b'])
  t.end()
})

t.test('what Connection nominates goes, in every field of that name', (t) => {
  t.same(left(['connection', 'close, X-A,,', 'x-a', '1', 'connection', 'x-b', 'x-b', '2', 'x-c', '3']), ['x-c', '3'])
  t.end()
})

t.test('nobody nominates away what identity, routing or framing hang on', (t) => {
  const fields = [
    'x-forwarded-for',
    '10.0.0.1',
    'authorization',
    'a',
    'forwarded',
    'b',
    'content-length',
    '3',
    'cookie',
    'c',
  ]
  t.same(left(['connection', 'X-Forwarded-For, Authorization, forwarded, Content-Length, cookie', ...fields]), fields)
  t.same(
    left(['connection', 'x-role, x-other', 'x-role', '1', 'x-other', '2'], (name) => name === 'x-role'),
    ['x-role', '1'],
  )
  t.end()
})

t.test('TE stays for trailers alone', (t) => {
  t.same(left(['te', 'trailers']), ['te', 'trailers'])
  t.same(left(['te', 'gzip;q=0.5, Trailers']), ['te', 'trailers'])
  t.same(left(['connection', 'te', 'te', 'trailers']), ['te', 'trailers'])
  t.same(left(['te', 'gzip']), [])
  t.same(left(['te', 'xtrailers']), [])
  t.end()
})
