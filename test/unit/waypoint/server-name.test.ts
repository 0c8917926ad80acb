import { type Duplex, duplexPair } from 'node:stream'
import t from 'tap'
import { type ServerNameOptions, ServerNameReader } from '../../../waypoint/server-name.ts'

interface Handed {
  readonly first: string
  readonly serverName: string | undefined
  readonly stream: Duplex
}

/** A ClientHello of TLS 1.2 with nothing but a server name. */
function hello(name: string): Buffer {
  const host = Buffer.from(name)
  const names = Buffer.concat([Buffer.from([0, 0, host.length]), host])
  const body = Buffer.concat([Buffer.from([0, names.length]), names])
  const extension = Buffer.concat([Buffer.from([0, 0, 0, body.length]), body])
  const fixed = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32), Buffer.from([0, 0, 2, 0x13, 1, 1, 0])])
  const content = Buffer.concat([fixed, Buffer.from([0, extension.length]), extension])
  const message = Buffer.concat([Buffer.from([1, 0, 0, content.length]), content])
  return Buffer.concat([Buffer.from([22, 3, 1, 0, message.length]), message])
}

function reading(first: Buffer = Buffer.alloc(0), options: Partial<ServerNameOptions> = {}) {
  const [near, far] = duplexPair()
  const { promise, resolve } = Promise.withResolvers<Handed>()
  const counts = { closed: 0, drained: 0 }
  const serving = {
    drain: () => {
      counts.drained += 1
    },
    destroy: () => undefined,
  }
  const reader = new ServerNameReader(near, first, {
    silentMs: 60_000,
    serve: (stream, read, serverName) => {
      resolve({ first: read.toString('latin1'), serverName, stream })
      return serving
    },
    onClosed: () => {
      counts.closed += 1
    },
    ...options,
  })
  return { far, reader, handed: promise, counts }
}

const whole = hello('Orders.example')

t.test('the name is known with the last byte of the hello, and everything read is handed on', async (t) => {
  const { far, handed } = reading()
  for (const byte of whole.subarray(0, -1)) far.write(Buffer.of(byte))
  far.write(Buffer.concat([whole.subarray(-1), Buffer.from('more')]))
  const { first, serverName, stream } = await handed
  t.equal(serverName, 'orders.example')
  far.end('later')
  const rest: Buffer[] = []
  for await (const chunk of stream) rest.push(chunk as Buffer)
  t.equal(first + Buffer.concat(rest).toString('latin1'), `${whole.toString('latin1')}morelater`)
})

t.test('what was read before counts, and what is no TLS waits for nothing', async (t) => {
  t.equal((await reading(whole).handed).serverName, 'orders.example')
  const { far, handed } = reading()
  far.write('SSH-2.0-x\r\n')
  t.match(await handed, { first: 'SSH-2.0-x\r\n', serverName: undefined })
})

t.test('a client that stops in the middle of its hello, or says nothing, asks for no name', async (t) => {
  // the reader's timer does not keep a process alive
  const alive = setInterval(() => undefined, 1000)
  t.teardown(() => clearInterval(alive))
  for (const start of [whole.subarray(0, 20), Buffer.alloc(0)]) {
    t.match(await reading(start, { silentMs: 1 }).handed, { serverName: undefined })
  }
  const { far, handed } = reading()
  far.end(whole.subarray(0, 20))
  t.match(await handed, { serverName: undefined })
})

t.test('one that is drained before it says anything is over; after that its server is told', async (t) => {
  const silent = reading()
  silent.reader.drain()
  silent.far.resume().end()
  await new Promise((resolve) => silent.far.once('close', resolve))
  t.equal(silent.counts.closed, 1)
  const started = reading(whole.subarray(0, 20))
  started.reader.drain()
  started.far.write(whole.subarray(20))
  await started.handed
  t.equal(started.counts.drained, 1)
})
