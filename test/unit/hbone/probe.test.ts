// When a session is asked for a sign of life, and what counts as one; sockets and clock are played.
import { stat } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Probe } from '../../../core/hbone/probe.ts'

class Played {
  bytesRead = 0
  time = 0
  silent = 0
  readonly answers: (() => void)[] = []
  readonly probe: Probe

  constructor(limits: { readonly quietMs: number; readonly probeTimeoutMs: number }) {
    this.probe = new Probe({
      session: { ping: (onAnswer) => this.answers.push(onAnswer) },
      socket: this,
      limits,
      now: () => this.time,
      onSilent: () => {
        this.silent += 1
      },
    })
  }

  request(): number {
    this.probe.requested()
    return this.answers.length
  }
}

/** Until timers of a millisecond and the turn after them have passed. */
const moment = () => new Promise((resolve) => setTimeout(resolve, 25))

t.test('a request asks only where nothing was heard for a while, and once at a time', async (t) => {
  const played = new Played({ quietMs: 1_000, probeTimeoutMs: 60_000 })
  t.equal(played.request(), 0)
  played.time = 999
  t.equal(played.request(), 0)
  played.time = 1_000
  t.equal(played.request(), 1)
  t.equal(played.request(), 1, 'the answer is still due')
  played.bytesRead = 10
  played.answers[0]?.()
  t.equal(played.request(), 1)
  played.time = 1_999
  t.equal(played.request(), 1)
  played.bytesRead = 20
  t.equal(played.request(), 1, 'something came meanwhile')
  played.time = 2_998
  t.equal(played.request(), 1)
  played.time = 2_999
  t.equal(played.request(), 2)
  played.probe.stop()
})

t.test('silence is no byte at all', async (t) => {
  const limits = { quietMs: 0, probeTimeoutMs: 1 }
  const dead = new Played(limits)
  dead.probe.ask()
  await moment()
  t.equal(dead.silent, 1)

  const talking = new Played(limits)
  talking.probe.ask()
  talking.bytesRead = 1
  await moment()
  t.equal(talking.silent, 0, 'the answer may be behind other data')

  const stopped = new Played(limits)
  stopped.probe.ask()
  stopped.probe.stop()
  stopped.probe.ask()
  await moment()
  t.equal(stopped.silent, 0)
  t.equal(stopped.answers.length, 1)
})

t.test('what was read in the turn in which the time was up still counts', async (t) => {
  const played = new Played({ quietMs: 0, probeTimeoutMs: 5 })
  await nextTurn()
  played.probe.ask()
  // Done while this thread stands still, and told where sockets are read: after the timers.
  stat('/', () => {
    played.bytesRead = 1
  })
  const until = performance.now() + 20
  while (performance.now() < until);
  await moment()
  t.equal(played.silent, 0)
})
