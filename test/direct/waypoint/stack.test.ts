// The stack between its own two ends over real sockets: what layers do to bodies, byte for byte, while every buffer that is released is
// overwritten at once.
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import type { Route } from '../../../core/model/routes.ts'
import { poisonReleased } from '../../../core/net/read-buffers.ts'
import { systemTimers } from '../../../waypoint/timers.ts'
import { Http1World, RawBackend, type RawPeer, until } from '../../helpers/http1-world.ts'
import { keyOf, route, scene, service, toService, workload } from '../../helpers/waypoint-scene.ts'

async function world(t: Test, more: Partial<Route> = {}) {
  poisonReleased(0xee)
  const shadow = new RawBackend()
  const shadowAddress = await shadow.listen()
  const found = scene({
    timers: systemTimers,
    clock: () => performance.now(),
    upstream: {
      send: (exchange, target) => {
        const address = target.workload.name === 'copy' ? shadowAddress : w.target.address
        return w.pool.send(exchange, { ...target, address, protocol: 'http1' })
      },
    },
  })
  const { model, stack, origin, told, mirrored } = found
  model.add(service('copy'), workload('copy', { services: [{ service: keyOf('copy'), ports: { '80': 80 } }] }))
  model.route(route(more))
  stack.update()
  const w = new Http1World({ server: { origin }, handler: (exchange) => stack.handle(exchange) })
  await w.start()
  t.teardown(async () => {
    poisonReleased(undefined)
    shadow.close()
    await w.close()
  })
  return { w, shadow, told, stack, mirrored }
}

const put = (body: string) => `PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`

async function bodyOf(peer: RawPeer, size: number): Promise<string> {
  await peer.read('\r\n\r\n')
  await until(() => peer.text.length >= size, `${size} bytes`)
  const body = peer.text
  peer.text = ''
  return body
}

t.test('a body is tried again byte for byte, at a new connection and at the same', async (t) => {
  for (const size of [10, 1_500, 3_000, 40_000, 65_536]) {
    const retry = {
      attempts: 2,
      statuses: [503],
      conditions: ['backend-timeout'],
      backoffIsMinimum: false,
      backoffMs: 1,
    }
    const { w, told, stack } = await world(t, {
      retry: { ...retry, avoidPreviousHosts: true, remoteLocalities: false },
    })
    const body = randomBytes(size).toString('latin1')
    const client = w.client()
    client.write(put(body))
    const first = await w.backend.connection(0)
    t.ok((await bodyOf(first, size)) === body)
    first.socket.destroy()
    const second = await w.backend.connection(1)
    t.ok((await bodyOf(second, size)) === body)
    second.write('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
    await until(() => second.text.includes('\r\n\r\n') || w.backend.connections.length > 2, 'the third try')
    const third = w.backend.connections[2] ?? second
    t.ok((await bodyOf(third, size)) === body, `${size} bytes, three times`)
    third.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    t.match(await client.read('ok'), /^HTTP\/1\.1 200 /)
    await until(() => told.length === 1, 'it is told')
    t.match(told, [{ attempts: 3, status: 200, requestBytes: size, responseBytes: 2 }])
    t.ok(stack.stats().clusters.every(({ endpoints }) => endpoints.every(({ active }) => active === 0)))
  }
})

t.test(
  'a mirror gets the same bytes, and a mirror that reads nothing is given up while the request goes on',
  async (t) => {
    const mirrors = [{ backend: toService('copy').backend, share: 1, shadowHost: false }]
    const { w, shadow, told, mirrored } = await world(t, { filters: { mirrors }, retry: 'none' })
    const client = w.client()
    for (const size of [3_000, 200_000]) {
      const body = randomBytes(size).toString('latin1')
      client.write(put(body))
      const [main, copy] = [await w.backend.connection(0), await shadow.connection(0)]
      t.ok((await bodyOf(main, size)) === body)
      t.ok((await bodyOf(copy, size)) === body)
      for (const peer of [main, copy]) peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      await client.read('ok')
    }
    const [main, copy] = [await w.backend.connection(0), await shadow.connection(0)]
    copy.socket.pause()
    const size = 40_000_000
    const body = randomBytes(size).toString('latin1')
    client.write(put(body))
    t.ok((await bodyOf(main, size)) === body)
    main.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    await client.read('ok')
    t.equal(told.length, 3)
    t.match(
      mirrored.map(({ end }) => end),
      [{ status: 200 }, { status: 200 }, 'dropped'],
    )
  },
)

t.test('an abort and a refusal leave the connection of the client in order, whatever it sends', async (t) => {
  const { w } = await world(t, { filters: { fault: { abort: { status: 555, share: 1 } } } })
  const client = w.client()
  for (const size of [0, 10, 3_000]) {
    client.write(put('x'.repeat(size)))
    t.match(await client.read('fault filter abort'), /^HTTP\/1\.1 555 /)
  }
  t.equal(w.backend.connections.length, 0)
})

t.test('a backend that says nothing: 504 in time, and its connection is not used again', async (t) => {
  const { w, told } = await world(t, { timeoutMs: 100, retry: 'none' })
  const client = w.client()
  client.write(put('order'))
  const silent = await w.backend.connection(0)
  t.match(await client.read('upstream request timeout'), /^HTTP\/1\.1 504 /)
  await until(() => silent.closed || silent.ended, 'the connection ends')
  t.match(told, [{ status: 504, flags: ['UT'] }])
  client.write(put('order'))
  const next = await w.backend.connection(1)
  t.equal(await bodyOf(next, 5), 'order')
  next.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  t.match(await client.read('ok'), /200/)
})

t.test('a client that goes away in the middle of its body takes the try with it', async (t) => {
  const { w, told, stack } = await world(t)
  const client = w.client()
  client.write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf')
  const backend = await w.backend.connection(0)
  await bodyOf(backend, 4)
  client.socket.destroy()
  await until(() => backend.closed || backend.ended, 'the try ends')
  await until(() => told.length === 1, 'it is told')
  t.match(told, [{ status: 0, flags: ['DC'], attempts: 1 }])
  t.match(stack.stats().clusters[0], { circuit: { requests: { used: 0 } }, endpoints: [{ active: 0 }] })
})
