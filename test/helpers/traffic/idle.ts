// Many connections that stay open and say nothing. Started by main.ts inside a workload; main.ts passes the orders on.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface IdlePlan {
  readonly host: string
  readonly port: number
  readonly connections: number
}

/** Opened at the same time; more would wait in the daemon's own limit. */
const batch = 100
const word = Buffer.from('.')

export class IdleConnections {
  readonly #sockets: Socket[] = []
  closed = 0

  /** Opens them; each has said one byte and got it back. Rejects when one cannot be opened. */
  async open(plan: IdlePlan): Promise<void> {
    while (this.#sockets.length < plan.connections) {
      const count = Math.min(batch, plan.connections - this.#sockets.length)
      const opened = Array.from({ length: count }, () => {
        const socket = connect({ host: plan.host, port: plan.port, noDelay: true })
        socket.on('error', () => {}) // 'close' follows
        socket.once('close', () => this.closed++)
        this.#sockets.push(socket)
        return ask(socket)
      })
      await Promise.all(opened)
    }
  }

  /** How many still answer. */
  async answering(): Promise<number> {
    const answers = await Promise.allSettled(this.#sockets.map(ask))
    return answers.filter(({ status }) => status === 'fulfilled').length
  }

  async close(): Promise<void> {
    const open = this.#sockets.filter((socket) => !socket.closed)
    for (const socket of open) socket.end()
    await Promise.all(open.map((socket) => once(socket, 'close')))
  }
}

async function ask(socket: Socket): Promise<void> {
  if (socket.closed) throw new Error('closed')
  socket.write(word)
  await once(socket, 'data', { signal: AbortSignal.timeout(30_000) })
}
