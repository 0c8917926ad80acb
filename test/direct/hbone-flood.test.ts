// A tunnel server against many connections that never prove who they are.
import t from 'tap'
import { frame, RawPeer, type, uint32 } from '../helpers/raw-http2.ts'
import { Bench, echo, eventually } from '../helpers/tunnel.ts'

t.test('silent connections of one address leave room for others, and end in time', async (t) => {
  const limits = { handshakeTimeoutMs: 1000, maxHandshakesPerAddress: 5 }
  const bench = await Bench.create({ onConnect: echo, serverLimits: limits })
  const silent = await Promise.all(Array.from({ length: 20 }, () => bench.raw()))
  for (const socket of silent) socket.on('error', () => undefined).resume()
  await eventually('all were accepted', () => bench.accepted.length === 20)
  t.equal(bench.tunnels.sessions, 5)
  t.equal(bench.errors.filter(({ error }) => error.code === 'LIMIT_REACHED').length, 15, 'and each refusal is reported')
  await eventually('the silent ones are gone', () => bench.tunnels.sessions === 0)
  const tunnel = await bench.connect()
  t.ok(tunnel.stream)
  t.equal(bench.tunnels.sessions, 1)
  await bench.close()
})

t.test('established sessions do not count as handshakes, but against the limit of all', async (t) => {
  const limits = { maxHandshakesPerAddress: 1, serverMaxSessions: 3 }
  const bench = await Bench.create({ onConnect: echo, serverLimits: limits })
  for (const sourceUid of ['a', 'b', 'c']) await bench.connect({ sourceUid })
  t.equal(bench.tunnels.sessions, 3)
  const fourth = await bench.raw()
  let closed = false
  fourth
    .on('error', () => undefined)
    .on('close', () => {
      closed = true
    })
  fourth.allowHalfOpen = false
  fourth.resume()
  await eventually('the fourth is refused', () => closed)
  t.equal(bench.tunnels.sessions, 3)
  await bench.close()
})

t.test('a stream that is reset in the same breath costs its owner nothing', async (t) => {
  const handed: string[] = []
  const bench = await Bench.create({
    onConnect: (connect) => {
      handed.push(connect.authority)
      echo(connect)
    },
  })
  const peer = await RawPeer.client(await bench.tls(bench.clientCredentials.context))
  for (let id = 1; id < 600; id += 2) peer.send(peer.connect(id), frame(type.reset, 0, id, uint32(8)))
  peer.send(peer.connect(1001))
  await eventually('the last one is answered', () => peer.answers.has(1001))
  t.equal(handed.length, 1)
  peer.socket.destroy()
  await bench.close()
})
