// Reading sockets through buffers that are used again: nothing is mixed up, lost or kept for ever.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type net from 'node:net'
import t from 'tap'
import { pump } from '../../core/hbone/pump.ts'
import { poisonReleased, waitingSlabs } from '../../core/net/read-buffers.ts'
import { readSocket } from '../../core/net/socket-reader.ts'
import { Bench, dialTcp, eventually, listen } from '../helpers/tunnel.ts'

async function pair(): Promise<{ readonly near: net.Socket; readonly far: net.Socket; close(): void }> {
  const accepted = Promise.withResolvers<net.Socket>()
  const { server, port } = await listen((socket) => accepted.resolve(socket))
  const near = await dialTcp(port)
  const far = await accepted.promise
  for (const socket of [near, far]) socket.on('error', () => {})
  const close = () => {
    near.destroy()
    far.destroy()
    server.close()
  }
  return { near, far, close }
}

t.test('this Node lets us say where a socket reads to', async (t) => {
  const { near, far, close } = await pair()
  const buffers = new Set<ArrayBufferLike>()
  readSocket(far, (chunk) => buffers.add(chunk.buffer))
  for (let count = 0; count < 20; count += 1) {
    near.write('x')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  t.equal(buffers.size, 1, 'the same one each time')
  close()
})

t.test('a socket that carries bulk is read in slices of a turn, and whole', async (t) => {
  const { near, far, close } = await pair()
  const data = randomBytes(6 * 1024 * 1024)
  const got = createHash('sha256')
  let ofTurn = 0
  let most = 0
  let bytes = 0
  const nextTurn = () => {
    most = Math.max(most, ofTurn)
    ofTurn = 0
    if (bytes < data.length) setImmediate(nextTurn)
  }
  near.write(data)
  // The kernel is full before the first read.
  await eventually('nothing more fits', () => near.writableLength > 0)
  await new Promise((resolve) => setTimeout(resolve, 50))
  setImmediate(nextTurn)
  readSocket(far, (chunk) => {
    if (bytes < data.length) got.update(chunk)
    bytes += chunk.length
    ofTurn += chunk.length
  })
  await eventually('all is read', () => bytes === data.length)
  t.equal(got.digest('hex'), createHash('sha256').update(data).digest('hex'))
  t.ok(most <= 256 * 1024 + 64 * 1024, `${most} bytes in one turn`)
  far.pause()
  near.write('more')
  far.resume()
  await eventually('it goes on after a pause', () => bytes === data.length + 4)
  close()
})

t.test('what was read before, pause, resume, end and close are as ever', async (t) => {
  const { near, far, close } = await pair()
  far.unshift(Buffer.from('early '))
  const got: string[] = []
  readSocket(far, (chunk) => got.push(chunk.toString()))
  near.write('one ')
  await eventually('read', () => got.join('') === 'early one ')
  far.pause()
  near.write('two')
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(got.join(''), 'early one ', 'nothing while it is paused')
  far.resume()
  await eventually('read', () => got.join('') === 'early one two')
  const ended = once(far, 'end')
  near.end()
  await ended
  const closed = once(far, 'close')
  far.end()
  await closed
  close()
})

/** client → pump → tunnel → pump → an application that sends everything back. */
async function echoChain() {
  const application = await listen((socket) => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  const bench = await Bench.create({
    onConnect: async (connect) => {
      const socket = await dialTcp(application.port)
      await pump(connect.accept(), socket)
    },
  })
  const near = await listen(async (socket) => {
    socket.pause()
    await pump(socket, (await bench.connect()).stream)
  })
  const close = async () => {
    await bench.close()
    near.server.close()
    application.server.close()
  }
  return { port: near.port, close }
}

/** Writes in uneven pieces; ends early where the socket is gone. */
async function feed(client: net.Socket, data: Buffer, shift: number): Promise<void> {
  for (let at = 0; at < data.length && !client.destroyed; ) {
    const length = [1, 50, 3_000, 65_536, 200_000][(at + shift) % 5]!
    if (!client.write(data.subarray(at, at + length)))
      await Promise.race([once(client, 'drain'), once(client, 'close')])
    at += length
  }
  client.end()
}

t.test('twelve connections with bulk both ways at once are not mixed up, and the buffers come back', async (t) => {
  poisonReleased(0xee)
  t.teardown(() => poisonReleased(undefined))
  const chain = await echoChain()
  const before = waitingSlabs()
  const equal = Array.from({ length: 12 }, async (_, index) => {
    const client = await dialTcp(chain.port)
    const data = randomBytes(3 * 1024 * 1024 + index)
    const sent = createHash('sha256').update(data).digest('hex')
    const got = createHash('sha256')
    const reading = (async () => {
      for await (const chunk of client.iterator({ destroyOnReturn: false })) {
        got.update(chunk as Buffer)
        // Uneven readers: some connections are held up, others are not.
        if (index % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      }
    })()
    await feed(client, data, index)
    await reading
    client.destroy()
    return got.digest('hex') === sent
  })
  t.same(new Set(await Promise.all(equal)), new Set([true]))
  await chain.close()
  await eventually('buffers wait to be used again', () => waitingSlabs() > before)
})

t.test('connections that are cut in the middle deliver nothing but the beginning of what was sent', async (t) => {
  poisonReleased(0xee)
  t.teardown(() => poisonReleased(undefined))
  const chain = await echoChain()
  const data = randomBytes(4 * 1024 * 1024)
  const prefixes = Array.from({ length: 40 }, async (_, index) => {
    const client = await dialTcp(chain.port)
    client.on('error', () => {})
    let at = 0
    let right = true
    client.on('data', (chunk: Buffer) => {
      right &&= chunk.equals(data.subarray(at, at + chunk.length))
      at += chunk.length
      if (index % 2 === 0 && at > index * 90_000) client.resetAndDestroy()
    })
    const closed = once(client, 'close')
    await feed(client, data, index)
    if (index % 2 === 0) await closed
    else await once(client, 'end')
    client.destroy()
    return right && (index % 2 === 0 || at === data.length)
  })
  t.same(new Set(await Promise.all(prefixes)), new Set([true]))
  await chain.close()
})
