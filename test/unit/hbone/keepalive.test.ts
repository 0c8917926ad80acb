import { EventEmitter } from 'node:events'
import type { Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { keepAlive } from '../../../core/hbone/keepalive.ts'

const limits = { pingIntervalMs: 5, pingTimeoutMs: 20 }

class FakeSession extends EventEmitter {
  destroyed = false
  closed = false
  ping(answered: (error: Error | null) => void): boolean {
    if (this.destroyed) throw new Error('ERR_HTTP2_INVALID_SESSION')
    setImmediate(answered, null)
    return true
  }
}

function watch(): { readonly session: FakeSession; readonly dead: { count: number } } {
  const session = new FakeSession()
  const dead = { count: 0 }
  keepAlive(session as unknown as Http2Session, { bytesRead: 0 } as Socket, limits, () => {
    dead.count += 1
    session.emit('close')
  })
  return { session, dead }
}

async function eventually(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000
  while (!condition()) {
    if (performance.now() > end) throw new Error('not in time')
    await pause(2)
  }
}

t.test('a session that Node destroyed without ever closing it is dead', async (t) => {
  const { session, dead } = watch()
  session.destroyed = true
  await eventually(() => dead.count > 0)
  await pause(30)
  t.equal(dead.count, 1)
})

t.test('one that ended in good order may flush', async (t) => {
  const session = new FakeSession()
  let dead = 0

  session.closed = true
  session.destroyed = true
  keepAlive(session as unknown as Http2Session, { bytesRead: 0 } as Socket, limits, () => {
    dead += 1
  })
  await pause(100)
  t.equal(dead, 0)
  session.emit('close')
})

t.test('a session that closes is left alone', async (t) => {
  const { session, dead } = watch()
  await pause(20)
  session.destroyed = true
  session.emit('close')
  await pause(60)
  t.equal(dead.count, 0)
})
