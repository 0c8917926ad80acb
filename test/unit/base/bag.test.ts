import fc from 'fast-check'
import t from 'tap'
import { Bag, type Bagged } from '../../../core/base/bag.ts'

class Item implements Bagged {
  place = -1
}

t.test('a bag is a set: adding twice and taking out twice change nothing', async (t) => {
  const bag = new Bag<Item>()
  const item = new Item()
  bag.add(item)
  bag.add(item)
  t.equal(bag.size, 1)
  t.same([...bag], [item])
  t.ok(bag.delete(item))
  t.notOk(bag.delete(item))
  t.equal(bag.size, 0)
  t.same([...bag], [])
  t.notOk(bag.delete(new Item()), 'one that was never in it')
})

t.test('an object of another bag is not taken out of this one', async (t) => {
  const [mine, other] = [new Bag<Item>(), new Bag<Item>()]
  const [a, b] = [new Item(), new Item()]
  mine.add(a)
  other.add(b)
  t.notOk(mine.delete(b))
  t.same([...mine], [a])
  t.same([...other], [b])
})

t.test('whatever comes and goes, a bag holds what a Set holds', async () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(20))), (steps) => {
      const items = Array.from({ length: 21 }, () => new Item())
      const bag = new Bag<Item>()
      const set = new Set<Item>()
      for (const [adds, index] of steps) {
        const item = items[index]!
        if (adds) {
          bag.add(item)
          set.add(item)
        } else if (bag.delete(item) !== set.delete(item)) return false
      }
      const all = [...bag]
      return bag.size === set.size && all.length === set.size && all.every((item) => set.has(item))
    }),
  )
})

t.test('what was just seen may be taken out while walking', async (t) => {
  const bag = new Bag<Item>()
  for (let count = 0; count < 10; count += 1) bag.add(new Item())
  let seen = 0
  for (const item of bag) {
    seen += 1
    bag.delete(item)
  }
  t.equal(seen, 10)
  t.equal(bag.size, 0)
})
