// Windows that grow, over modelled paths with a clock of their own, and what all sessions of a thread hold together.
import fc from 'fast-check'
import t from 'tap'
import { HeldBudget } from '../../../../core/hbone/h2/held-budget.ts'
import { SessionWindow } from '../../../../core/hbone/h2/session-window.ts'
import { WindowGrowth } from '../../../../core/hbone/h2/window-growth.ts'
import { defaultLimits } from '../../../../core/hbone/limits.ts'

const kib = 1024

/** A sender that always has more to send over a path of `rttMs` and `bytesPerMs`, for `ms`. */
function transfer(growth: WindowGrowth, clock: { now: number }, path: Path, ms: number): void {
  const end = clock.now + ms
  while (clock.now < end) {
    const rate = Math.min(path.bytesPerMs, growth.streamBytes / path.rttMs)
    growth.received(rate / 10)
    clock.now += 0.1
    // A window beyond what the path takes is a queue, through which the answer has to go.
    const queueMs = Math.max(0, growth.streamBytes / path.bytesPerMs - path.rttMs)
    while (path.pings.length > 0 && path.pings[0]!.at + path.rttMs + queueMs <= clock.now) path.pings.shift()?.answer()
  }
}

interface Path {
  rttMs: number
  bytesPerMs: number
  readonly pings: { readonly at: number; readonly answer: () => void }[]
}

function made(rttMs: number, bytesPerMs: number) {
  const clock = { now: 0 }
  const path: Path = { rttMs, bytesPerMs, pings: [] }
  let count = 0
  const ping = (answer: () => void) => {
    count += 1
    path.pings.push({ at: clock.now, answer })
  }
  const growth = new WindowGrowth(defaultLimits, ping, () => clock.now)
  return { growth, clock, path, pings: () => count }
}

t.test('a long fat path gets the largest windows, within a few round trips', (t) => {
  const { growth, clock, path } = made(80, 1_000 * kib)
  transfer(growth, clock, path, 2_000)
  t.equal(growth.streamBytes, 4 * 1024 * kib)
  t.equal(growth.sessionBytes, 16 * 1024 * kib)
  t.end()
})

t.test('a short path, and a long thin one, keep windows of about what they can carry', (t) => {
  for (const [rttMs, bytesPerMs] of [
    [0.2, 1_000 * kib],
    [100, 1 * kib],
  ] as const) {
    const { growth, clock, path } = made(rttMs, bytesPerMs)
    let sum = 0
    for (let count = 0; count < 300; count += 1) {
      transfer(growth, clock, path, 100)
      sum += growth.streamBytes
    }
    t.ok(sum / 300 < 400 * kib, `${sum / 300} bytes on average at ${rttMs} ms`)
  }
  t.end()
})

t.test('windows shrink again where they turn out to be nothing but a queue', (t) => {
  const { growth, clock, path } = made(80, 12 * kib)
  transfer(growth, clock, path, 10_000)
  t.ok(growth.streamBytes >= 512 * kib && growth.streamBytes <= 2048 * kib, `${growth.streamBytes}`)
  t.end()
})

t.test('nobody is pinged for small messages', (t) => {
  const { growth, clock, pings } = made(1, 1)
  growth.received(100 * kib)
  t.equal(pings(), 0)
  clock.now += 10_000
  growth.received(40 * kib)
  t.equal(pings(), 1, 'half a window came')
  t.end()
})

t.test('a peer that answers no PING, or at once, or late, never gets more than the limits', (t) => {
  const step = fc.record({ bytes: fc.nat(2 ** 22), ms: fc.nat(5_000), answer: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { growth, clock, path } = made(1, 1)
      return steps.every(({ bytes, ms, answer }) => {
        clock.now += ms
        growth.received(bytes)
        if (answer) path.pings.shift()?.answer()
        const { streamBytes, sessionBytes } = growth
        return streamBytes >= 256 * kib && streamBytes <= 4096 * kib && sessionBytes <= 4 * 4096 * kib
      })
    }),
  )
  t.pass()
  t.end()
})

t.test(
  'a session admits what it granted, no more, however its streams hold back, and never stands still without cause',
  (t) => {
    const step = fc.record({ bytes: fc.nat(300_000), held: fc.boolean(), read: fc.nat(600_000) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const budget = new HeldBudget(2 * 1024 * kib)
        let allowed = 1024 * kib
        let held = 0
        const grant = (bytes: number) => {
          allowed += bytes
        }
        const hooks = { ping: () => {}, grant }
        const window = new SessionWindow(defaultLimits, hooks, budget, () => 0)
        for (const { bytes, held: holds, read } of steps) {
          const sent = Math.min(bytes, allowed)
          allowed -= sent
          if (!window.receive(sent)) return false
          if (holds) {
            held += sent
            window.holds(sent)
          }
          window.consume(sent)
          const taken = Math.min(read, held)
          held -= taken
          if (taken > 0) window.holds(-taken)
          if (held + allowed > (2 + 1 + 1) * 1024 * kib) return false
        }
        if (held > 0) window.holds(-held)
        return budget.bytes === 0 && allowed * 2 > 1024 * kib && !window.receive(allowed + 1)
      }),
    )
    t.end()
  },
)

t.test('a session that waits because others hold much goes on when they read', (t) => {
  const budget = new HeldBudget(4 * 1024 * kib)
  const grants: number[] = []
  const of = (list: number[]) => ({ ping: () => {}, grant: (bytes: number) => void list.push(bytes) })
  const greedy = new SessionWindow(defaultLimits, of([]), budget, () => 0)
  const other = new SessionWindow(defaultLimits, of(grants), budget, () => 0)
  greedy.holds(4 * 1024 * kib)
  t.ok(other.receive(600 * kib))
  other.holds(600 * kib)
  other.consume(600 * kib)
  t.same(grants, [], 'its own bytes are withheld')
  t.equal(other.streamBytes, 256 * kib)
  greedy.holds(-4 * 1024 * kib)
  t.same(grants, [600 * kib])
  t.equal(budget.bytes, 600 * kib)
  t.end()
})
