import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { keepAlive } from '../../../core/hbone/keepalive.ts'

const limits = { pingIntervalMs: 5, pingTimeoutMs: 20 }

class FakeSession {
  finishing = false
  answers = true
  pings = 0
  ping(answered: () => void): void {
    this.pings += 1
    if (this.answers) setImmediate(answered)
  }
}

async function eventually(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000
  while (!condition()) {
    if (performance.now() > end) throw new Error('not in time')
    await pause(2)
  }
}

function watch(socket: { readonly bytesRead: number } = { bytesRead: 0 }) {
  const session = new FakeSession()
  const dead = { count: 0 }
  const stop = keepAlive(session, socket, limits, () => {
    dead.count += 1
  })
  return { session, dead, stop }
}

t.test('a session that answers lives, one that falls silent is dead, once', async (t) => {
  const { session, dead, stop } = watch()
  await eventually(() => session.pings > 5)
  t.equal(dead.count, 0)
  session.answers = false
  await eventually(() => dead.count > 0)
  await pause(60)
  t.equal(dead.count, 1)
  stop()
})

t.test('a session that is stopped, or that only has to flush, is left alone', async (t) => {
  const stopped = watch()
  stopped.session.answers = false
  await eventually(() => stopped.session.pings === 1)
  stopped.stop()
  const finishing = watch()
  finishing.session.answers = false
  await eventually(() => finishing.session.pings === 1)
  finishing.session.finishing = true
  await pause(60)
  t.same([stopped.dead.count, finishing.dead.count], [0, 0])
  finishing.stop()
})

t.test('a peer that sends data but never answers reads nothing from us: it is dead in the end', async (t) => {
  let bytes = 0
  const { session, dead, stop } = watch({
    get bytesRead() {
      bytes += 1
      return bytes
    },
  })
  session.answers = false
  await eventually(() => dead.count === 1)
  t.ok(bytes > 20, 'long after the first timeout')
  stop()
})
