// Bulk throughput over a number of streams. The application learns from the first byte what to do (origin/streams.ts).
import { once } from 'node:events'
import net from 'node:net'
import { deadline, sleep } from '../../core/base/deadline.ts'
import { flood, sink } from './flood.ts'
import type { BulkPlan, BulkReport, Direction } from './plan.ts'

/** First byte of a bulk connection. */
export const orders: Readonly<Record<Direction, string>> = { up: 'u', down: 'd', both: 'b' }

export async function runBulk(plan: BulkPlan): Promise<BulkReport> {
  let bytes = 0
  const count = (more: number): void => {
    bytes += more
  }
  const sockets = await Promise.all(Array.from({ length: plan.streams }, () => open(plan, count)))
  try {
    for (const socket of sockets) {
      socket.write(orders[plan.direction])
      if (plan.direction !== 'down') void flood(socket, count)
    }
    await sleep(plan.warmMs)
    const [before, began] = [bytes, performance.now()]
    await sleep(plan.ms)
    const seconds = (performance.now() - began) / 1_000
    const lost = sockets.filter((socket) => socket.destroyed).length
    if (lost > 0) throw new Error(`${lost} of ${plan.streams} streams ended before their time`)
    return { gigabitsPerSecond: ((bytes - before) * 8) / seconds / 1e9 }
  } finally {
    for (const socket of sockets) socket.resetAndDestroy()
  }
}

async function open(plan: BulkPlan, count: (bytes: number) => void): Promise<net.Socket> {
  const onread = {
    buffer: sink,
    callback: (bytes: number) => {
      count(bytes)
      return true
    },
  }
  const socket = net.connect({ host: plan.host, port: plan.port, noDelay: true, onread })
  await once(socket, 'connect', { signal: deadline(10_000) })
  socket.on('error', () => {})
  return socket
}
