import t from 'tap'
import { changeHeaders, isChangeable } from '../../../../core/decide/http/headers.ts'

const none = { set: [], add: [], remove: [] }
const header = (name: string, value: string) => ({ name, value })

t.test('set takes the place of every field of the name, in any case, or comes last', (t) => {
  const changes = { ...none, set: [header('x-a', 'new')] }
  t.same(changeHeaders(['X-A', '1', 'b', '2', 'x-a', '3'], changes), ['X-A', 'new', 'b', '2'])
  t.same(changeHeaders(['b', '2'], changes), ['b', '2', 'x-a', 'new'])
  t.end()
})

t.test('add goes behind the value that is there', (t) => {
  const changes = { ...none, add: [header('X-Add', 'new')] }
  t.same(changeHeaders(['x-add', 'old'], changes), ['x-add', 'old,new'])
  t.same(changeHeaders(['x-add', '1', 'X-ADD', '2'], changes), ['x-add', '1', 'X-ADD', '2,new'])
  t.same(changeHeaders([], changes), ['X-Add', 'new'])
  t.end()
})

t.test('cookies that are set stay fields of their own', (t) => {
  const changes = { ...none, add: [header('Set-Cookie', 'b=2')] }
  t.same(changeHeaders(['set-cookie', 'a=1'], changes), ['set-cookie', 'a=1', 'Set-Cookie', 'b=2'])
  t.end()
})

t.test('remove takes out every field of the name, before set and add', (t) => {
  t.same(changeHeaders(['A', '1', 'b', '2', 'a', '3'], { ...none, remove: ['a'] }), ['b', '2'])
  const all = { remove: ['a'], set: [header('a', 'x')], add: [header('a', 'y')] }
  t.same(changeHeaders(['A', '1', 'a', '2'], all), ['a', 'x,y'])
  t.end()
})

t.test('values are not names', (t) => {
  t.same(changeHeaders(['x', 'a', 'a', 'x'], { ...none, remove: ['a'] }), ['x', 'a'])
  t.end()
})

t.test('framing, host and pseudo-headers are never changed', (t) => {
  const names = [
    'Content-Length',
    'transfer-encoding',
    'Host',
    'connection',
    ':path',
    'Upgrade',
    'TE',
    'trailer',
    'keep-alive',
  ]
  for (const name of names) {
    t.notOk(isChangeable(name), name)
    const changes = { set: [header(name, '0')], add: [header(name, '0')], remove: [name] }
    t.same(changeHeaders([name, '5'], changes), [name, '5'], name)
    t.same(changeHeaders([], changes), [], name)
  }
  t.ok(isChangeable('x-request-id'))
  t.end()
})

t.test('without changes the list is the same one', (t) => {
  const headers = ['a', '1']
  t.equal(changeHeaders(headers, undefined), headers)
  t.end()
})
