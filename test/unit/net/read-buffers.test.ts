import t from 'tap'
import { attachSlab, detachSlab, keptBytes, release, type Slab, waitingSlabs } from '../../../core/net/read-buffers.ts'

t.test('a buffer comes back when it is detached and all that was kept of it is released', (t) => {
  const before = waitingSlabs()
  const slab = attachSlab()!
  const parts = [slab.buffer.subarray(0, 16_384), slab.buffer.subarray(16_384, 32_768)]
  for (const _ of parts) slab.retain()
  release(parts[0]!)
  detachSlab(slab)
  t.equal(waitingSlabs(), before)
  release(parts[1]!)
  t.equal(waitingSlabs(), before + 1)
  t.equal(attachSlab(), slab, 'and is used again')
  detachSlab(slab)
  t.end()
})

t.test('what is small or belongs to nobody is released without effect', (t) => {
  const before = waitingSlabs()
  release(Buffer.alloc(100_000))
  release(Buffer.alloc(keptBytes - 1))
  t.equal(waitingSlabs(), before)
  t.end()
})

t.test('there is an end to the buffers that are attached', (t) => {
  const all: Slab[] = []
  for (let slab = attachSlab(); slab !== undefined; slab = attachSlab()) all.push(slab)
  t.ok(all.length > 0 && all.length <= 256)
  t.equal(new Set(all).size, all.length)
  for (const slab of all) detachSlab(slab)
  const again = attachSlab()!
  t.ok(again)
  detachSlab(again)
  t.end()
})

t.test('a buffer that is released twice is an error, never a buffer of two', (t) => {
  const slab = attachSlab()!
  slab.retain()
  detachSlab(slab)
  release(slab.buffer)
  t.throws(() => release(slab.buffer), /twice/)
  t.end()
})
