// The server end of tunnels as a script of a test: our pool dials it, and it says whatever the test wants, frame by frame. For
// the client role of the engine.
import { once } from 'node:events'
import net from 'node:net'
import { serverTls } from '../../core/identity/tls.ts'
import { type Coverage, Wire, type WireOptions } from '../peer/wire.ts'
import { frame, type } from './raw-http2.ts'
import { Bench, type BenchOptions, eventually, listen } from './tunnel.ts'

export class RawServer {
  readonly bench: Bench
  /** Sessions in the order of their coming. */
  readonly wires: Wire[] = []
  readonly #close: () => void

  private constructor(bench: Bench, close: () => void) {
    this.bench = bench
    this.#close = close
  }

  /** `settings` is the payload of SETTINGS, which go out first; `null` sends nothing. */
  static async create(
    coverage: Coverage,
    settings: Buffer | string | null = '',
    wireOptions: WireOptions = {},
    benchOptions: BenchOptions = {},
  ): Promise<RawServer> {
    const listening = await listen((socket) => {
      const tls = serverTls(socket, () => bench.serverCredentials.context)
      tls.on('error', () => {})
      tls.once('secure', () => {
        const wire = new Wire(tls, { role: 'server', coverage, ...wireOptions })
        if (settings !== null) wire.send(frame(type.settings, 0, 0, settings))
        server.wires.push(wire)
      })
    })
    const dial = async () => {
      const socket = net.connect({ port: listening.port, host: '127.0.0.1', allowHalfOpen: true })
      await once(socket, 'connect')
      return socket
    }
    const bench: Bench = await Bench.create({ ...benchOptions, pool: { dial } })
    const server = new RawServer(bench, () => listening.server.close())
    return server
  }

  /** An open tunnel of our client, the first one of its session, which was answered 200. */
  async tunnel(session = 0) {
    const opening = this.bench.connect()
    opening.catch(() => {})
    const wire = await this.request(session)
    const [id] = wire.of(type.headers).map((one) => one.id)
    wire.send(wire.headers(id!, [[':status', '200']]))
    return { wire, id: id!, ...(await opening) }
  }

  /** A session, counted from 0, once a CONNECT came on it. */
  async request(session = 0): Promise<Wire> {
    await eventually('our client comes', () => this.wires[session] !== undefined)
    const wire = this.wires[session]!
    await wire.until('a CONNECT', () => wire.of(type.headers).length > 0)
    return wire
  }

  async close(): Promise<void> {
    await this.bench.close()
    for (const { socket } of this.wires) socket.destroy()
    this.#close()
  }
}
