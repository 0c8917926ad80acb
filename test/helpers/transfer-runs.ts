// Slow readers, for transfer.test.ts and the soak of the same name: one side stops reading while the other writes all it can.
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Tally } from './traffic/pattern.ts'
import { trafficPorts } from './traffic/ports.ts'
import { type DaemonUnit, daemons, type TrafficLab, type Watch } from './traffic-lab.ts'

export interface SlowFigures {
  /** Connections at the same time. */
  readonly connections: number
  /** What the writers got rid of before everything stood still, and what arrived there in the end. */
  readonly stuckBytes: number
  readonly arrivedBytes: number
  /** Whether what arrived is what was written. */
  readonly intact: boolean
  /** What each daemon weighed more at its heaviest. */
  readonly growthKib: Readonly<Record<DaemonUnit, number>>
}

/** No byte moves for so long: everything between writer and reader is full. */
const stillMs = 2_000
/** Nothing holds the writer up: end it before the machine runs out of memory. */
const hopelessKib = 512 * 1024
const block = Buffer.alloc(64 * 1024, 'culvert ')

/** The server reads nothing while the client writes; then it reads all of it. */
export async function deafServer(lab: TrafficLab, connections: number): Promise<SlowFigures> {
  using watch = lab.watch()
  const writers = await openAll(lab, trafficPorts.deaf, connections)
  const hashes = writers.map(() => new Tally())
  const fill = (socket: Socket, index: number): void => {
    const more = (): void => {
      do hashes[index]!.add(block)
      while (socket.write(block))
    }
    socket.on('drain', more)
    more()
  }
  writers.forEach(fill)
  // What waits in this process has not left.
  const left = (): number => writers.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0)
  const stuckBytes = await untilStill(watch, left)
  const growthKib = { ...watch.growthKib }
  for (const socket of writers) socket.removeAllListeners('drain').end()
  const heard = JSON.parse(await ask(lab, trafficPorts.wake)) as readonly { bytes: number; hash: string }[]
  const sent = new Set(hashes.map((tally) => tally.digest()))
  return {
    connections,
    stuckBytes,
    arrivedBytes: heard.reduce((sum, { bytes }) => sum + bytes, 0),
    intact: heard.length === connections && heard.every(({ hash }) => sent.has(hash)),
    growthKib,
  }
}

/** The client reads nothing while the server writes; then it reads `wantedBytes` on each. */
export async function deafClient(lab: TrafficLab, connections: number, wantedBytes: number): Promise<SlowFigures> {
  using watch = lab.watch()
  const readers = await openAll(lab, trafficPorts.pour, connections)
  for (const socket of readers) socket.pause()
  const stuckBytes = await untilStill(watch, async () => JSON.parse(await ask(lab, trafficPorts.poured)) as number)
  const growthKib = { ...watch.growthKib }
  const arrived = await Promise.all(readers.map((socket) => readSome(socket, wantedBytes)))
  for (const socket of readers) socket.destroy()
  return {
    connections,
    stuckBytes,
    arrivedBytes: arrived.reduce((sum, bytes) => sum + bytes, 0),
    intact: arrived.every((bytes) => bytes >= wantedBytes),
    growthKib,
  }
}

async function openAll(lab: TrafficLab, port: number, connections: number): Promise<readonly Socket[]> {
  const address = { address: lab.host, port }
  return await Promise.all(Array.from({ length: connections }, () => lab.mesh.open('shop/client', address)))
}

async function readSome(socket: Socket, wantedBytes: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const late = setTimeout(() => reject(new Error('the connection stands still for ever')), 30_000)
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes >= wantedBytes) resolve(bytes)
  })
  socket.resume()
  try {
    return await promise
  } finally {
    clearTimeout(late)
    socket.pause()
  }
}

/** Asks the server from within its own workload, where no daemon is in between. */
async function ask(lab: TrafficLab, port: number): Promise<string> {
  const socket = await lab.mesh.open('shop/server', { address: '127.0.0.1', port })
  socket.end()
  return await text(socket)
}

/** Resolves to what `measure` gives once that has not changed for `stillMs`. Rejects where it goes on and on. */
async function untilStill(watch: Watch, measure: () => number | Promise<number>): Promise<number> {
  const end = performance.now() + 60_000
  let [last, since] = [await measure(), performance.now()]
  while (performance.now() - since < stillMs) {
    const tooMuch = daemons.some((unit) => watch.growthKib[unit] > hopelessKib)
    if (tooMuch || performance.now() > end) {
      throw new Error(`the writer is not held up; the daemons grew by ${JSON.stringify(watch.growthKib)} KiB`)
    }
    await sleep(100)
    const now = await measure()
    if (now !== last) [last, since] = [now, performance.now()]
  }
  return last
}
