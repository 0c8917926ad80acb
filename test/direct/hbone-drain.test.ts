// How a tunnel server goes away: GOAWAY, streams in progress, handshakes under way, the deadline.
import { once } from 'node:events'
import t from 'tap'
import { Bench, dialTcp, echo, eventually, readAll } from '../helpers/tunnel.ts'

t.test('a drain lets streams in progress end, takes no new ones, and cuts at the deadline', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const { stream } = await bench.connect()
  stream.write('before')
  await once(stream, 'data')
  const drained = bench.tunnels.drain(10_000)
  await t.rejects(
    // The first may be on its way before the GOAWAY arrives, and is served then.
    bench.connect().then((early) => bench.connect().finally(() => early.stream.destroy())),
    Error,
  )
  const answer = readAll(stream)
  stream.end('after')
  t.equal((await answer).toString(), 'after')
  await drained
  t.equal(bench.tunnels.sessions, 0)
  await bench.close()

  const stuck = await Bench.create({ onConnect: echo })
  const held = (await stuck.connect()).stream
  const failed = once(held.resume(), 'error')
  await stuck.tunnels.drain(50)
  t.equal(stuck.tunnels.sessions, 0)
  await failed
  await stuck.close()
})

t.test('a handshake that is under way when the drain begins is finished, and what it was for is served', async (t) => {
  const gate = Promise.withResolvers<void>()
  const dial = async () => {
    const socket = await dialTcp(bench.port)
    await gate.promise
    return socket
  }
  const bench: Bench = await Bench.create({ onConnect: echo, pool: { dial } })
  const connecting = bench.connect()
  await eventually('the server has accepted', () => bench.tunnels.sessions === 1)
  const drained = bench.tunnels.drain(10_000)
  gate.resolve()
  const { stream } = await connecting
  stream.end('in time')
  t.equal((await readAll(stream)).toString(), 'in time')
  await drained
  await bench.close()
})

t.test('a drain without deadline waits for the last stream', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const { stream } = await bench.connect()
  let over = false
  const drained = bench.tunnels.drain(Number.POSITIVE_INFINITY).then(() => {
    over = true
  })
  for (const word of ['one', 'two', 'three']) {
    stream.write(word)
    await once(stream, 'data')
  }
  t.notOk(over)
  stream.end()
  stream.resume()
  await drained
  await bench.close()
})
