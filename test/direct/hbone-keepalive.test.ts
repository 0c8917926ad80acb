// Liveness of tunnel sessions: who is silent is dead; who sends data, or only has an old session that drains, is not.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { keepAlive } from '../../core/hbone/keepalive.ts'
import { createCredentials } from '../../core/identity/tls.ts'
import { Bench, clientIdentity, echo, eventually } from '../helpers/tunnel.ts'

const limits = { pingIntervalMs: 20, pingTimeoutMs: 40 }

/** A session whose peer never answers a PING. */
class DeafSession {
  readonly finishing = false
  pings = 0
  ping(): void {
    this.pings++
  }
}

t.test('a peer that sends nothing is dead, one that sends data without answering PING is not', async (t) => {
  const silent = { bytesRead: 100 }
  let read = 0
  const talking = {
    get bytesRead() {
      return ++read
    },
  }
  let silentDied = 0
  let talkingDied = 0
  const sessions = [new DeafSession(), new DeafSession()] as const
  const stops = [
    keepAlive(sessions[0], silent, limits, () => silentDied++),
    keepAlive(sessions[1], talking, limits, () => talkingDied++),
  ]
  await eventually('the silent one is found dead', () => silentDied === 1)
  await eventually('several timeouts passed', () => read > 10)
  t.equal(talkingDied, 0)
  for (const stop of stops) stop()
})

t.test('a stream outlives its certificate, idle or busy, however many pings later', async (t) => {
  for (const busy of [false, true]) {
    const fast = { pingIntervalMs: 50, pingTimeoutMs: 100 }
    const bench = await Bench.create({ onConnect: echo, serverLimits: fast, poolLimits: fast })
    t.teardown(() => bench.close())
    bench.clientCredentials = createCredentials(await bench.ca.leaf(clientIdentity, { lifetimeMs: 1_500 }))
    const { stream } = await bench.connect()
    stream.on('error', () => {})
    const expired = bench.clientCredentials.notAfter + 1_000
    let received = 0
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    while (Date.now() < expired) {
      if (busy) stream.write('x')
      await sleep(20)
    }
    t.notOk(stream.destroyed, 'it was not reset')
    t.same(bench.errors, [])
    const before = received
    stream.write('still there?')
    await eventually('it still answers', () => received >= before + 12)
    const second = await bench.connect().catch((error: unknown) => error)
    t.type(second, Error, 'a new one is refused: the certificate has expired')
    stream.destroy()
  }
})
