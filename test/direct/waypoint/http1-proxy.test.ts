// HTTP/1.1 through the waypoint's own two ends, byte by byte: what a client sees and what a backend sees.
import t, { type Test } from 'tap'
import { Http1World, type WorldOptions } from '../../helpers/http1-world.ts'

async function world(t: Test, options?: WorldOptions): Promise<Http1World> {
  const world = await new Http1World(options).start()
  t.teardown(() => world.close())
  return world
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

t.test('a request and its answer, twice over the same two connections', async (t) => {
  const w = await world(t)
  const client = w.client()
  client.write('GET /a HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\n')
  const backend = await w.backend.connection(0)
  t.equal(await backend.read('\r\n\r\n'), 'GET /a HTTP/1.1\r\nhost: x\r\nx-a: b\r\n\r\n')
  backend.write(ok)
  t.equal(await client.read('ok'), ok)
  client.write('POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc')
  t.equal(await backend.read('abc'), 'POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc')
  backend.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n')
  t.equal(
    await client.read('7\r\n\r\n'),
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 7\r\n\r\n',
  )
  t.equal(w.backend.connections.length, 1)
})
