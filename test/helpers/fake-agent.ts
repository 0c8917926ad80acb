// The agent's end of the handoff for tests of the daemon: listens on `agent.sock`, signs CSRs with a fake CA, sends messages
// and waits for their acknowledgements.
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import { deadline } from '../../core/base/deadline.ts'
import { LineChannel } from '../../core/feed/codec.ts'
import type { HandoffToAgent, HandoffToDaemon } from '../../core/feed/handoff.ts'
import { parseHandoffToAgent } from '../../core/feed/parse.ts'
import type { FakeCa } from './fake-ca.ts'

type Ack = Extract<HandoffToAgent, { type: 'ack' }>
type Unnumbered<T> = T extends { readonly seq: number } ? Omit<T, 'seq'> : never

const waitMs = 10_000

export class FakeAgent {
  readonly #ca: FakeCa
  readonly #server: net.Server
  readonly #stop = new AbortController()
  readonly #acks = new Map<number, (ack: Ack) => void>()
  #channel = Promise.withResolvers<LineChannel<HandoffToAgent, HandoffToDaemon>>()
  #seq = 0
  /** Every message of the daemon. */
  readonly said: HandoffToAgent[] = []
  /** Identities of the CSRs so far. */
  readonly requested: string[] = []
  /** Set to refuse CSRs with this reason. */
  refuse: string | undefined

  private constructor(ca: FakeCa, server: net.Server) {
    this.#ca = ca
    this.#server = server
    server.on('connection', (socket) => void this.#serve(socket))
  }

  static async listen(runDir: string, ca: FakeCa): Promise<FakeAgent> {
    const server = net.createServer()
    server.listen(join(runDir, 'agent.sock'))
    await once(server, 'listening')
    return new FakeAgent(ca, server)
  }

  /** Resolves once a daemon is connected. */
  async connected(): Promise<void> {
    await this.#channel.promise
  }

  async send(message: Unnumbered<HandoffToDaemon>): Promise<Ack> {
    const channel = await this.#channel.promise
    const seq = ++this.#seq
    const acknowledged = new Promise<Ack>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${message.type} was not acknowledged`)), waitMs)
      this.#acks.set(seq, (ack) => {
        clearTimeout(timer)
        resolve(ack)
      })
    })
    channel.send({ ...message, seq } as HandoffToDaemon)
    return await acknowledged
  }

  /** Ends the connection and the socket, as an agent that dies does. */
  async close(): Promise<void> {
    this.#stop.abort()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close', { signal: deadline(waitMs) })
  }

  async #serve(socket: net.Socket): Promise<void> {
    const channel = new LineChannel<HandoffToAgent, HandoffToDaemon>(socket, {
      parse: parseHandoffToAgent,
      limitBytes: 1024 * 1024,
    })
    try {
      for await (const message of channel.messages(this.#stop.signal)) await this.#take(message, channel)
    } catch {
      // The daemon went away.
    }
    this.#channel = Promise.withResolvers()
  }

  async #take(message: HandoffToAgent, channel: LineChannel<HandoffToAgent, HandoffToDaemon>): Promise<void> {
    this.said.push(message)
    if (message.type === 'hello') return this.#channel.resolve(channel)
    if (message.type === 'draining') return
    if (message.type === 'ack') return this.#acks.get(message.seq)?.(message)
    if (message.type !== 'csr') return
    const { id, identity, csr } = message
    this.requested.push(identity)
    if (this.refuse !== undefined) {
      channel.send({ type: 'certificate-error', id, code: 'NODE_UNAUTHORIZED', reason: this.refuse, retryable: false })
    } else {
      channel.send({ type: 'certificate', id, ...(await this.#ca.sign(csr, identity)) })
    }
  }
}
