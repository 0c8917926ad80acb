// A tunnel server and connections that break at an awkward moment.
import t from 'tap'
import { Bench, echo, eventually } from '../helpers/tunnel.ts'

t.test('a drain at the moment a session breaks neither throws nor spares the other sessions', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  await bench.connect({ sourceUid: 'a' })
  const other = await bench.connect({ sourceUid: 'b' })
  bench.accepted[0]?.destroy()
  const drained = bench.tunnels.drain(5000)
  other.stream.end()
  other.stream.resume()
  await drained
  t.equal(bench.tunnels.sessions, 0)
  await bench.close()
})

t.test('a peer that reads nothing any more is cut off, also while the server drains', async (t) => {
  const bench = await Bench.create({ onConnect: echo, serverLimits: { pingIntervalMs: 50, pingTimeoutMs: 100 } })
  const { stream } = await bench.connect()
  stream.on('error', () => {})
  const drained = bench.tunnels.drain(20_000)
  for (const socket of bench.dialled) Reflect.get(socket, '_handle').readStop()
  await eventually('the connection is cut', () => bench.tunnels.sessions === 0 && bench.accepted[0]?.destroyed === true)
  await drained
  t.match(bench.errors, [{ error: { code: 'TUNNEL_TIMEOUT' } }])
  await bench.close()
})
