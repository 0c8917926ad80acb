// Mixed load that counts every byte: connections that stay and talk, connections that come and go, and bulk both ways. What comes
// back is compared with what was sent. Started by main.ts in a workload.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { trafficPorts } from './ports.ts'
import { runTransfer } from './transfer.ts'

export interface MixedPlan {
  readonly host: string
  readonly durationMs: number
  /** Connections that talk for a while each. */
  readonly talkers: number
  /** Short connections per second. */
  readonly perSecond: number
  /** Of each bulk transfer, in each direction. */
  readonly bulkBytes: number
}

export interface MixedReport {
  readonly messages: number
  readonly connections: number
  readonly transfers: number
  /** What the application wrote and read, all connections together. */
  readonly bytesUp: number
  readonly bytesDown: number
  readonly failed: number
  readonly failures: Readonly<Record<string, number>>
}

const answerMs = 30_000
const pauseMs = 25
const mostMessages = 400
const mostBytes = 48 * 1024
/** The number before a bulk transfer, and the hash after it (test/helpers/traffic/serve.ts). */
const transferExtra = { up: 8, down: 64 }

class Mixed {
  readonly #plan: MixedPlan
  readonly #end: number
  readonly #failures: Record<string, number> = {}
  readonly #counts = { messages: 0, connections: 0, transfers: 0, bytesUp: 0, bytesDown: 0, failed: 0 }
  readonly #noise = randomBytes(2 * mostBytes)

  constructor(plan: MixedPlan) {
    this.#plan = plan
    this.#end = performance.now() + plan.durationMs
  }

  async run(): Promise<MixedReport> {
    const talkers = Array.from({ length: this.#plan.talkers }, () => this.#talk())
    await Promise.all([...talkers, this.#churn(), this.#bulk()])
    return { ...this.#counts, failures: this.#failures }
  }

  get #over(): boolean {
    return performance.now() >= this.#end
  }

  #fail(error: unknown): void {
    const name = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    this.#counts.failed += 1
    this.#failures[name] = (this.#failures[name] ?? 0) + 1
  }

  async #talk(): Promise<void> {
    while (!this.#over) {
      await this.#connection(Math.ceil(Math.random() * mostMessages), pauseMs).catch((error: unknown) =>
        this.#fail(error),
      )
    }
  }

  /** At its pace, whatever the connections before are doing. */
  async #churn(): Promise<void> {
    const under = new Set<Promise<void>>()
    for (let due = performance.now(); !this.#over; due += 1_000 / this.#plan.perSecond) {
      await sleep(Math.max(0, due - performance.now()))
      const one = this.#connection(1, 0).catch((error: unknown) => this.#fail(error))
      under.add(one)
      void one.finally(() => under.delete(one))
    }
    await Promise.all(under)
  }

  async #bulk(): Promise<void> {
    const { host, bulkBytes } = this.#plan
    while (!this.#over) {
      try {
        const { up, down } = await runTransfer({ host, bytes: bulkBytes })
        if (up.arrived !== up.sent || down.arrived !== down.sent) throw new Error('other bytes arrived')
        this.#counts.transfers += 1
        this.#counts.bytesUp += bulkBytes + transferExtra.up
        this.#counts.bytesDown += bulkBytes + transferExtra.down
      } catch (error: unknown) {
        this.#fail(error)
      }
      await sleep(1_000)
    }
  }

  async #connection(messages: number, pause: number): Promise<void> {
    const { host } = this.#plan
    const socket = connect({ host, port: trafficPorts.echo, noDelay: true })
    socket.setTimeout(answerMs, () => socket.destroy(new Error('no answer')))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    try {
      await once(socket, 'connect')
      for (let count = 0; count < messages && !this.#over; count += 1) {
        await this.#message(socket, closed)
        if (pause > 0) await sleep(Math.random() * 2 * pause)
      }
      socket.end()
      socket.resume()
      await closed
      this.#counts.connections += 1
    } finally {
      socket.destroy()
    }
  }

  async #message(socket: Socket, closed: Promise<unknown>): Promise<void> {
    const length = Math.ceil(Math.random() ** 4 * mostBytes)
    const at = Math.floor(Math.random() * mostBytes)
    const message = this.#noise.subarray(at, at + length)
    socket.write(message)
    this.#counts.bytesUp += length
    for (let read = 0; read < length; ) {
      const chunk = socket.read() as Buffer | null
      if (chunk === null) {
        if (socket.readableEnded || socket.destroyed) throw new Error('closed early')
        await Promise.race([once(socket, 'readable'), closed])
        continue
      }
      this.#counts.bytesDown += chunk.length
      if (!chunk.equals(message.subarray(read, read + chunk.length))) throw new Error('other bytes arrived')
      read += chunk.length
    }
    this.#counts.messages += 1
  }
}

export async function runMixed(plan: MixedPlan): Promise<MixedReport> {
  return await new Mixed(plan).run()
}
