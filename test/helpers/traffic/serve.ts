// The called side of the traffic tests: one TCP port per behaviour. Started by main.ts inside a workload.
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { readToEnd, type Tally, writePattern } from './pattern.ts'
import { trafficPorts } from './ports.ts'

type Behaviour = (socket: Socket) => void | Promise<void>

/** What callers of `beforeEnd` sent after our end, by the number that they gave. */
const heard = new Map<number, Promise<Tally>>()
const pouring = new Set<Socket>()
const deaf = new Set<Socket>()

/** The first 8 bytes of a connection are a number. */
async function firstNumber(socket: Socket): Promise<number> {
  for (;;) {
    const head = socket.read(8) as Buffer | null
    if (head?.length === 8) return Number(head.readBigUInt64LE())
    await once(socket, 'readable')
  }
}

const behaviours: Readonly<Record<keyof typeof trafficPorts, Behaviour>> = {
  echo: (socket) => {
    socket.on('data', (chunk: Buffer) => socket.write(chunk))
    socket.on('end', () => socket.end())
  },
  transfer: async (socket) => {
    const total = await firstNumber(socket)
    const [tally] = await Promise.all([readToEnd(socket), writePattern(socket, 'server', total)])
    socket.end(tally.digest())
  },
  afterEnd: async (socket) => {
    const total = await firstNumber(socket)
    await readToEnd(socket)
    await writePattern(socket, 'server', total)
    socket.end()
  },
  beforeEnd: async (socket) => {
    socket.end('all is said')
    const number = await firstNumber(socket)
    const tally = readToEnd(socket)
    heard.set(number, tally)
    await tally
  },
  results: async (socket) => {
    const tally = await heard.get(await firstNumber(socket))
    socket.end(JSON.stringify({ bytes: tally?.bytes, hash: tally?.digest() }))
  },
  pour: async (socket) => {
    pouring.add(socket)
    socket.once('close', () => pouring.delete(socket))
    await writePattern(socket, 'server', 2 ** 40)
  },
  poured: (socket) => {
    let bytes = 0
    // What waits in this process has not left.
    for (const { bytesWritten, writableLength } of pouring) bytes += bytesWritten - writableLength
    socket.end(JSON.stringify(bytes))
  },
  deaf: (socket) => {
    deaf.add(socket)
    socket.once('close', () => deaf.delete(socket))
  },
  wake: async (socket) => {
    const tallies = await Promise.all([...deaf].map((sleeper) => readToEnd(sleeper)))
    for (const sleeper of deaf) sleeper.end()
    socket.end(JSON.stringify(tallies.map((tally) => ({ bytes: tally.bytes, hash: tally.digest() }))))
  },
}

/** Resolves once every port is open. */
export async function serve(): Promise<void> {
  const opened = Object.entries(trafficPorts).map(async ([name, port]) => {
    const behave = behaviours[name as keyof typeof trafficPorts]
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy())
      // A caller that breaks off is what some tests are about; only this connection is lost.
      Promise.try(behave, socket).catch(() => socket.destroy())
    })
    server.listen({ port, host: '::', backlog: 4096 })
    await once(server, 'listening')
  })
  await Promise.all(opened)
}
