import fc from 'fast-check'
import t from 'tap'
import { StreamTable } from '../../../../core/hbone/h2/stream-table.ts'

t.test('streams that live long and streams that come and go share a table', async (t) => {
  const table = new StreamTable<string>()
  table.set(1, 'long')
  for (let id = 3; id < 20_001; id += 2) {
    table.set(id, `stream ${id}`)
    if (id >= 203) table.delete(id - 200)
  }
  t.equal(table.get(1), 'long')
  t.equal(table.size, 101)
  t.equal(table.get(19_999), 'stream 19999')
  t.equal(table.get(3), undefined)
})

t.test('whatever opens and closes, the table holds what a Map holds', async () => {
  const ids = fc.nat(200).map((n) => 2 * n + 1)
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), ids), { maxLength: 400 }), (steps) => {
      const table = new StreamTable<number>()
      const map = new Map<number, number>()
      for (const [index, [opens, id]] of steps.entries()) {
        if (opens) {
          table.set(id, index)
          map.set(id, index)
        } else if (table.delete(id) !== map.delete(id)) return false
        if (table.get(id) !== map.get(id)) return false
      }
      const values = table.values()
      const expected = new Set(map.values())
      const same = values.length === map.size && values.every((value) => expected.has(value))
      return same && table.size === map.size && [...map].every(([id, value]) => table.get(id) === value)
    }),
  )
})
