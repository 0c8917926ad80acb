// Connections for their own sake: many that are held open without a word, and a steady stream of short ones.
import { once } from 'node:events'
import net from 'node:net'
import { createHistogram } from 'node:perf_hooks'
import { deadline, sleep } from '../../core/base/deadline.ts'
import { dueBy } from './open-loop.ts'
import type { ChurnPlan, ChurnReport, Destination, HoldPlan, HoldReport } from './plan.ts'

const establishMs = 10_000
/** From so many failures on nothing is going to become of it. */
const mostFailures = 50
/** Connects under way at the same time while idle connections are opened. */
const openers = 32

/** A connection over which one byte has gone there and back: it is established from end to end. */
async function establish(destination: Destination): Promise<net.Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = net.connect({ host: destination.host, port: destination.port, noDelay: true })
  const timer = setTimeout(() => socket.destroy(new Error(`not established in ${establishMs} ms`)), establishMs)
  socket.on('error', reject)
  socket.once('close', () => reject(new Error('closed before it was established')))
  socket.once('connect', () => socket.write('.'))
  socket.once('data', () => resolve())
  try {
    await promise
    return socket
  } finally {
    clearTimeout(timer)
  }
}

/** Idle connections that outlive a plan. */
export class Held {
  readonly #sockets = new Set<net.Socket>()

  async run(plan: HoldPlan): Promise<HoldReport> {
    if (plan.connections === 0) this.close()
    let failed = 0
    let missing = plan.connections - this.#sockets.size
    const opener = async (): Promise<void> => {
      for (; missing > 0 && failed < mostFailures; ) {
        missing -= 1
        try {
          const socket = await establish(plan)
          this.#sockets.add(socket)
          socket.once('close', () => this.#sockets.delete(socket))
        } catch {
          failed += 1
        }
      }
    }
    await Promise.all(Array.from({ length: openers }, opener))
    return { open: this.#sockets.size, failed }
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }
}

/** Opens, says one byte, hears it, closes: at a fixed rate, whatever becomes of the earlier ones. */
export async function runChurn(plan: ChurnPlan): Promise<ChurnReport> {
  const times = createHistogram()
  const open = new Set<Promise<void>>()
  const began = performance.now()
  let [connections, failed] = [0, 0]
  const one = async (): Promise<void> => {
    const start = performance.now()
    try {
      const socket = await establish(plan)
      times.record(Math.max(1, Math.round((performance.now() - start) * 1_000)))
      socket.end()
      await once(socket.resume(), 'close', { signal: deadline(establishMs) })
    } catch {
      failed += 1
    }
  }
  for (let elapsed = 0, last = -1; last < plan.ms; elapsed = performance.now() - began) {
    last = elapsed
    for (const due = dueBy(Math.min(elapsed, plan.ms), plan.rate); connections < due; connections += 1) {
      const running: Promise<void> = one().finally(() => open.delete(running))
      open.add(running)
    }
    await sleep(5)
  }
  await Promise.all(open)
  const percentile = (at: number): number => (times.count === 0 ? 0 : times.percentile(at))
  return { connections, failed, p50Us: percentile(50), p99Us: percentile(99) }
}
