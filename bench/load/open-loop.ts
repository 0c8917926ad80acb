// Requests at a fixed rate, whatever the answers do. A request that becomes due while every connection is busy waits in a queue, and
// its latency counts from when it became due: no coordinated omission (a closed loop would ask less while the answers are slow).
import { once } from 'node:events'
import net from 'node:net'
import { createHistogram } from 'node:perf_hooks'
import { deadline, sleep } from '../../core/base/deadline.ts'
import type { OpenLoopPlan, OpenLoopReport } from './plan.ts'

const tickMs = 1

/** How many requests should have begun by now, for a rate per second. */
export function dueBy(elapsedMs: number, rate: number): number {
  return Math.floor((elapsedMs * rate) / 1_000)
}

/** Bytes of an HTTP/1.1 answer with a Content-Length; undefined while its head is not complete. */
export function answerLength(head: string): number | undefined {
  const end = head.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const length = /^content-length: *(\d+)\r?$/im.exec(head.slice(0, end + 2))?.[1]
  if (length === undefined) throw new Error('the answer has no Content-Length')
  return end + 4 + Number(length)
}

export async function runOpenLoop(plan: OpenLoopPlan): Promise<OpenLoopReport> {
  const loop = new OpenLoop(plan)
  try {
    await loop.open()
    return await loop.run()
  } finally {
    loop.close()
  }
}

interface Connection {
  readonly socket: net.Socket
  /** When the request that it carries became due; undefined while it is free. */
  dueAt: number | undefined
  received: number
}

class OpenLoop {
  readonly #plan: OpenLoopPlan
  readonly #request: Buffer
  readonly #latencies = createHistogram()
  readonly #lateness = createHistogram()
  readonly #connections: Connection[] = []
  readonly #free: Connection[] = []
  /** Due, but without a connection; `#next` is the first that waits. */
  #queue: number[] = []
  #next = 0
  #answerBytes = 0
  #recordFrom = 0
  #issued = 0
  #answered = 0
  #lost = 0

  constructor(plan: OpenLoopPlan) {
    this.#plan = plan
    this.#request = Buffer.from(`GET / HTTP/1.1\r\nHost: ${plan.host}\r\n\r\n`)
  }

  async open(): Promise<void> {
    const { host, port, connections } = this.#plan
    for (let index = 0; index < connections; index += 1) {
      const socket = net.connect({ host, port, noDelay: true })
      await once(socket, 'connect', { signal: deadline(10_000) })
      this.#answerBytes ||= await this.#measureAnswer(socket)
      const connection: Connection = { socket, dueAt: undefined, received: 0 }
      socket.on('data', (chunk: Buffer) => this.#read(connection, chunk.length))
      socket.on('error', () => {})
      socket.once('close', () => this.#closed(connection))
      this.#connections.push(connection)
      this.#free.push(connection)
    }
  }

  /** Answers are all alike: after the first one only their bytes are counted. */
  async #measureAnswer(socket: net.Socket): Promise<number> {
    socket.write(this.#request)
    let head = ''
    for (;;) {
      const [chunk] = (await once(socket, 'data', { signal: deadline(10_000) })) as [Buffer]
      head += chunk.toString('latin1')
      const length = answerLength(head)
      if (length !== undefined && head.length >= length) return length
    }
  }

  async run(): Promise<OpenLoopReport> {
    const { warmMs, ms, rate } = this.#plan
    const began = performance.now()
    this.#recordFrom = began + warmMs
    const end = began + warmMs + ms
    let last = began
    for (let now = began; last < end; now = performance.now()) {
      if (now > this.#recordFrom) this.#lateness.record(Math.max(1, Math.round((now - last - tickMs) * 1_000)))
      last = now
      for (const due = dueBy(Math.min(now - began, warmMs + ms), rate); this.#issued < due; this.#issued += 1)
        this.#issue(now)
      await sleep(tickMs)
    }
    await this.#settle()
    return this.#report()
  }

  #issue(now: number): void {
    const connection = this.#free.pop()
    if (connection === undefined) this.#queue.push(now)
    else this.#send(connection, now)
  }

  #send(connection: Connection, dueAt: number): void {
    connection.dueAt = dueAt
    connection.received = 0
    connection.socket.write(this.#request)
  }

  #read(connection: Connection, bytes: number): void {
    if (connection.dueAt === undefined) return
    connection.received += bytes
    if (connection.received < this.#answerBytes) return
    this.#answered += 1
    if (connection.dueAt >= this.#recordFrom) {
      this.#latencies.record(Math.max(1, Math.round((performance.now() - connection.dueAt) * 1_000)))
    }
    connection.dueAt = undefined
    const waiting = this.#queue[this.#next]
    if (waiting === undefined) {
      this.#free.push(connection)
      this.#queue = []
      this.#next = 0
      return
    }
    this.#next += 1
    this.#send(connection, waiting)
  }

  #closed(connection: Connection): void {
    this.#lost += 1
    const at = this.#free.indexOf(connection)
    if (at >= 0) this.#free.splice(at, 1)
  }

  /** What is still under way gets a second, and counts as failed after it. */
  async #settle(): Promise<void> {
    const end = performance.now() + 1_000
    while (this.#answered < this.#issued && performance.now() < end) await sleep(5)
  }

  #report(): OpenLoopReport {
    if (this.#lost > 0)
      throw new Error(`${this.#lost} of ${this.#plan.connections} connections ended before their time`)
    return {
      requests: this.#issued,
      failed: this.#issued - this.#answered,
      p50Us: this.#latencies.percentile(50),
      p99Us: this.#latencies.percentile(99),
      p999Us: this.#latencies.percentile(99.9),
      lateP99Us: this.#lateness.count === 0 ? 0 : this.#lateness.percentile(99),
    }
  }

  close(): void {
    for (const { socket } of this.#connections) {
      socket.removeAllListeners('close')
      socket.destroy()
    }
  }
}
