// Streams through two daemons and a waypoint: nothing is buffered, both ways at once, and each end hears of the other's end.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { deadline } from '../../core/base/deadline.ts'
import { fieldOf } from '../../lab/calls/call.ts'
import { epochMs } from '../../lab/echo/counts.ts'
import { socketInside } from '../../lab/probe.ts'
import { instances, series, WaypointLab } from '../helpers/waypoint-lab.ts'
import { echoThroughWebSocket } from '../helpers/web-socket-run.ts'

t.setTimeout(180_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})
const mebibyte = 1024 * 1024

t.test('streams behind a waypoint', async (t) => {
  const lab = await WaypointLab.up('wpstreams', stateDir)
  t.teardown(() => lab.close())
  const open = (): Socket => {
    const { netns } = lab.mesh.workload('shop/client')
    return socketInside(netns, { address: lab.mesh.vip('shop/orders'), port: 80 })
  }

  await t.test('a WebSocket carries 64 MiB both ways at once, every byte as it was', async (t) => {
    const run = await echoThroughWebSocket(open, 'orders', 64 * mebibyte)
    t.equal(run.receivedSha256, run.sentSha256)
    t.comment(`${run.gbitPerSecond} Gbit/s`)
  })

  await t.test('events come within 50 ms of their writing, the first and those after', async (t) => {
    const uuid = series()
    const socket = open()
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    socket.write(`GET /events?uuid=${uuid} HTTP/1.1\r\nhost: orders\r\n\r\n`)
    let text = ''
    const next = async (sequence: number): Promise<number> => {
      for (;;) {
        const found = new RegExp(`"sequence":${sequence},"writtenAt":([0-9.]+)`).exec(text)
        if (found !== null) return epochMs() - Number(found[1])
        const [chunk] = (await once(socket, 'data', { signal: deadline(10_000) })) as [Buffer]
        text += chunk.toString()
      }
    }
    const delays = [await next(0)]
    for (let sequence = 1; sequence <= 20; sequence++) {
      const waiting = next(sequence)
      // only one instance has the stream open; the others have none to write to
      await Promise.all(
        instances.map(async (name) => {
          const { netns } = lab.mesh.workload(`shop/${name}`)
          const order = socketInside(netns, { address: '127.0.0.1', port: 8080 })
          order.end(
            `POST /events/next?uuid=${uuid} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
          )
          order.resume()
          await once(order, 'close')
        }),
      )
      delays.push(await waiting)
    }
    t.ok(Math.max(...delays) < 50, `at most ${Math.max(...delays).toFixed(1)} ms, first ${delays[0]!.toFixed(1)} ms`)
  })

  await t.test('large bodies pass both ways, over both protocols, with their trailers', async (t) => {
    const fill = createHash('sha256').update(Buffer.alloc(20_000_000, '0123456789abcdef')).digest('hex')
    for (const protocol of ['http/1.1', 'h2c'] as const) {
      const down = await lab.answered({ url: 'http://orders/bytes?n=20000000&checksum', protocol })
      t.equal(down.bodyBytes, 20_000_000, protocol)
      t.equal(fieldOf(down.trailers, 'x-sha256'), fill, protocol)
      const body = 'x'.repeat(5_000_000)
      const up = await lab.answered({ url: 'http://orders/upload', protocol, method: 'POST', body })
      t.same(
        JSON.parse(up.body),
        { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') },
        protocol,
      )
    }
  })

  await t.test('a body comes back while it is sent', async (t) => {
    const socket = open()
    t.teardown(() => socket.destroy())
    socket.write('POST /pipe HTTP/1.1\r\nhost: orders\r\ntransfer-encoding: chunked\r\n\r\n')
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    for (const word of ['one', 'two', 'three']) {
      socket.write(`${word.length}\r\n${word}\r\n`)
      while (!text.includes(word)) await once(socket, 'data', { signal: deadline(5_000) })
      t.pass(word)
    }
    socket.write('0\r\n\r\n')
    while (!text.endsWith('0\r\n\r\n')) await once(socket, 'data', { signal: deadline(5_000) })
  })

  await t.test('an early answer, a hint and a refused expectation reach the caller', async (t) => {
    const early = await lab.answered({
      url: 'http://orders/upload?early=413',
      method: 'POST',
      body: 'x'.repeat(3_000_000),
    })
    t.equal(early.status, 413)
    const hinted = await lab.answered({ url: 'http://orders/?hints=</a.css>;rel=preload' })
    t.same(hinted.interim, [103])
    const refused = await lab.answered({
      url: 'http://orders/upload?expect=refuse',
      method: 'POST',
      body: 'x',
      headers: { expect: '100-continue' },
    })
    t.equal(refused.status, 417)
  })

  await t.test('answers that break off never look complete, and broken ones are 502', async (t) => {
    const uuid = series()
    for (const fault of ['truncate', 'truncate-chunked']) {
      t.match(await lab.call({ url: `http://orders/?fault=${fault}&uuid=${uuid}` }), { kind: 'failed' }, fault)
    }
    for (const fault of ['garbage', 'two-lengths', 'length-and-chunked', 'unasked-upgrade']) {
      t.match(await lab.call({ url: `http://orders/?fault=${fault}&uuid=${uuid}` }), { status: 502 }, fault)
    }
    const poison = await lab.calls(
      Array.from({ length: 40 }, (_, index) => ({
        url: index % 2 === 0 ? 'http://orders/?fault=extra-bytes' : 'http://orders/',
      })),
    )
    t.notOk(JSON.stringify(poison).includes('poison'), 'what stands behind an answer is nobody’s')
  })

  await t.test('a caller that resets or closes its connection takes its request back', async (t) => {
    const cancelled = async (uuid: string): Promise<number> => {
      const counts = await Promise.all(instances.map((each) => lab.counted(each, uuid)))
      return counts.reduce((sum, count) => sum + count.cancelled, 0)
    }
    const gone = async (head: string, by: 'reset' | 'close'): Promise<void> => {
      const uuid = series()
      const socket = open()
      socket.on('error', () => {})
      socket.write(head.replace('SERIES', uuid))
      const end = performance.now() + 4_000
      while ((await lab.total(uuid)) === 0 && performance.now() < end);
      if (by === 'reset') socket.resetAndDestroy()
      else socket.destroy()
      while ((await cancelled(uuid)) === 0 && performance.now() < end);
      t.equal(await cancelled(uuid), 1, `${head.split(' HTTP')[0]!}: ${by}`)
    }
    for (const by of ['reset', 'close'] as const) {
      await gone('GET /?delay=5s&uuid=SERIES HTTP/1.1\r\nhost: orders\r\n\r\n', by)
      await gone('POST /upload?uuid=SERIES HTTP/1.1\r\nhost: orders\r\ncontent-length: 100\r\n\r\nhalf', by)
      await gone('GET /events?uuid=SERIES HTTP/1.1\r\nhost: orders\r\n\r\n', by)
    }
  })
})
