import fc from 'fast-check'
import t from 'tap'
import { HttpError } from '../../../../waypoint/http/error.ts'
import { Headers } from '../../../../waypoint/http/message.ts'

t.test('order and repetition are kept, names come in lower case', (t) => {
  const headers = new Headers(['Accept', 'a', 'X-B', 'b', 'accept', 'c'])
  t.same(headers.flat, ['accept', 'a', 'x-b', 'b', 'accept', 'c'])
  t.equal(headers.count, 3)
  t.equal(headers.get('ACCEPT'), 'a')
  t.same(headers.all('Accept'), ['a', 'c'])
  t.equal(headers.has('x-b'), true)
  t.equal(headers.get('x-c'), undefined)
  t.end()
})

t.test('set puts one value where the first stood, delete takes all', (t) => {
  const headers = new Headers(['a', '1', 'b', '2', 'a', '3', 'c', '4', 'a', '5'])
  headers.set('A', '6')
  t.same(headers.flat, ['a', '6', 'b', '2', 'c', '4'])
  headers.set('d', '7')
  t.equal(headers.delete('B'), true)
  t.equal(headers.delete('b'), false)
  t.same(headers.flat, ['a', '6', 'c', '4', 'd', '7'])
  t.end()
})

t.test('a copy is another list', (t) => {
  const headers = new Headers(['a', '1'])
  const copy = headers.copy()
  copy.set('a', '2')
  t.equal(headers.get('a'), '1')
  t.end()
})

t.test('nothing gets in that ends a line, or would after its upper half is cut off', (t) => {
  const headers = new Headers()
  for (const [name, value] of [
    ['a', 'b\r\nc: d'],
    ['a', 'b\nc'],
    ['a', 'b\0'],
    ['a', 'b\u010ac'],
    ['a', 'b\x7f'],
    ['a b', 'c'],
    ['a:', 'c'],
    ['', 'c'],
    [':path', '/'],
    ['\u212aelvin', 'c'],
  ] as const) {
    t.throws(() => headers.add(name, value), HttpError, JSON.stringify([name, value]))
    t.throws(() => headers.set(name, value), HttpError)
    t.throws(() => new Headers([name, value]), HttpError)
  }
  t.equal(headers.count, 0)
  t.end()
})

t.test('it does what a list of pairs does', (t) => {
  const name = fc.constantFrom('a', 'b', 'C', 'c')
  const step = fc.tuple(fc.constantFrom('add', 'set', 'delete'), name, fc.constantFrom('1', '2'))
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const headers = new Headers()
      let model: [string, string][] = []
      for (const [what, spelled, value] of steps) {
        const lower = spelled.toLowerCase()
        const first = model.findIndex(([other]) => other === lower)
        if (what === 'add') headers.add(spelled, value)
        else if (what === 'set') headers.set(spelled, value)
        else headers.delete(spelled)
        if (what === 'add' || (what === 'set' && first < 0)) model.push([lower, value])
        else if (what === 'set') {
          model = model.filter(([other], index) => other !== lower || index === first)
          model[first] = [lower, value]
        } else model = model.filter(([other]) => other !== lower)
      }
      return JSON.stringify(headers.flat) === JSON.stringify(model.flat())
    }),
  )
  t.end()
})
