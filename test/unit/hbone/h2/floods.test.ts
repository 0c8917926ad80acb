// What frames without a use cost a peer, and what earns them.
import t from 'tap'
import { Floods } from '../../../../core/hbone/h2/floods.ts'

const make = (): Floods => new Floods({ resetBurst: 10, resetsPerSecond: 1 })

/** How many it takes, up to a bound, with `honest` before each. */
function controls(floods: Floods, most: number, honest: () => void = () => {}): number {
  for (let count = 0; count < most; count += 1) {
    honest()
    try {
      floods.control()
    } catch {
      return count
    }
  }
  return most
}

t.test('frames without a use, and nothing else, end the session', (t) => {
  const count = controls(make(), 50_000)
  t.ok(count >= 2_000 && count < 10_000, `${count}`)
  t.end()
})

t.test('who measures the path while DATA goes or comes, or resets what it has answered, is no flood', (t) => {
  for (const [name, honest] of [
    ['DATA that we sent', (floods: Floods) => floods.sent(16_384)],
    ['DATA that came', (floods: Floods) => floods.received()],
    ['answers', (floods: Floods) => floods.answered()],
  ] as const) {
    const floods = make()
    t.equal(
      controls(floods, 50_000, () => honest(floods)),
      50_000,
      name,
    )
  }
  t.end()
})

t.test('the end of an empty stream earns nothing, and what is earned is not saved up', (t) => {
  const floods = make()
  t.ok(controls(floods, 50_000, () => floods.sent(0)) < 10_000)
  const saved = make()
  for (let n = 0; n < 100_000; n += 1) saved.received()
  t.ok(controls(saved, 50_000) < 10_000)
  t.end()
})
