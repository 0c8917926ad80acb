import t from 'tap'
import { startEcho } from '../../../lab/echo/server.ts'
import { runLoad } from '../../../lab/load/load.ts'

t.test('a load counts who answered, by status, over kept connections', async (t) => {
  const context = { namespace: 'shop', ingress: '', service: 'orders', pod: 'orders-v1', host: 'h1' }
  const echo = await startEcho(context, { http: [0], grpc: 0, tcp: 0, tls: 0 })
  t.teardown(() => echo.close())
  const origin = `http://127.0.0.1:${echo.ports.http[0]}`
  const many = await runLoad({ url: `${origin}/`, count: 10_000, concurrency: 32, uuid: 'load-' })
  t.match(many, {
    requests: 10_000,
    succeeded: 10_000,
    failed: 0,
    backends: { 'orders-v1': 10_000 },
    statuses: { 200: 10_000 },
  })
  t.ok(many.connections <= 32, `${many.connections} connections`)
  const counts = await fetch(`${origin}/counts?uuid=load-17`)
  t.match(await counts.json(), { requests: 1, total: 10_000 })
  const failing = await runLoad({ url: `${origin}/?responseCode=429`, count: 10 })
  t.match(failing, { failed: 10, failures: { 'status 429': 10 }, statuses: { 429: 10 }, backends: {} })
  const expected = await runLoad({ url: `${origin}/?responseCode=429`, count: 10, expected: [429] })
  t.match(expected, { succeeded: 10, backends: { 'orders-v1': 10 } })
  const slow = await runLoad({ url: `${origin}/?delay=30ms`, count: 4, concurrency: 2, slowMs: 25 })
  t.match(slow, { slow: 4 })
})
