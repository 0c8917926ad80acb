// A tunnel server and sessions that Node has destroyed but not closed: it may stay in between for long.
import http2, { type ServerHttp2Session } from 'node:http2'
import { syncBuiltinESMExports } from 'node:module'
import t from 'tap'

const sessions: ServerHttp2Session[] = []
const handshake = http2.performServerHandshake
http2.performServerHandshake = (...args) => {
  const session = handshake(...args)
  sessions.push(session)
  return session
}
syncBuiltinESMExports()
const { Bench, echo, eventually } = await import('../helpers/tunnel.ts')

t.test('a drain in that moment neither throws nor spares the other sessions', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  await bench.connect({ sourceUid: 'a' })
  const other = await bench.connect({ sourceUid: 'b' })
  t.equal(sessions.length, 2)
  sessions[0]?.destroy()
  const drained = bench.tunnels.drain(5000)
  other.stream.end()
  other.stream.resume()
  await drained
  t.equal(bench.tunnels.sessions, 0)
  await bench.close()
})

t.test('one that is never closed is cut off after a while', async (t) => {
  const bench = await Bench.create({ onConnect: echo, serverLimits: { pingIntervalMs: 50, pingTimeoutMs: 100 } })
  sessions.length = 0
  await bench.connect()
  const [session] = sessions
  // As Node leaves it after a GOAWAY with an error while a write is under way: destroyed, and nothing follows.
  Object.defineProperty(session, 'destroyed', { value: true })
  await eventually('the connection is cut', () => bench.tunnels.sessions === 0 && bench.accepted[0]?.destroyed === true)
  t.match(bench.errors, [{ error: { code: 'TUNNEL_TIMEOUT' } }])
  await bench.close()
})
