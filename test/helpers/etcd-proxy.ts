// Stands between a store and etcd and loses answers: the request is carried out, and the connection breaks before it says so.
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'

/** What happens after etcd has carried out a call: its answer is passed on, or lost. May do something else first. */
export type Fate = (path: string) => Promise<'pass' | 'lose'>

export class EtcdProxy {
  fate: Fate = async () => 'pass'
  readonly #server = createServer((incoming, outgoing) => this.#serve(incoming, outgoing))
  upstream: URL

  private constructor(upstream: URL) {
    this.upstream = upstream
  }

  static async start(upstream: URL): Promise<EtcdProxy> {
    const proxy = new EtcdProxy(upstream)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get endpoint(): URL {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen')
    return new URL(`http://127.0.0.1:${address.port}`)
  }

  breakAll(): void {
    this.#server.closeAllConnections()
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #serve(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const path = incoming.url ?? '/'
    const target = new URL(path, this.upstream)
    const sent = request(
      target,
      { method: 'POST', headers: { 'content-type': 'application/json' } },
      async (answer) => {
        if (path === '/v3/watch') {
          outgoing.writeHead(answer.statusCode ?? 500)
          answer.pipe(outgoing)
          outgoing.on('close', () => answer.destroy())
          return
        }
        const chunks: Buffer[] = []
        for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk)
        if ((await this.fate(path)) === 'lose') incoming.socket.destroy()
        else outgoing.writeHead(answer.statusCode ?? 500).end(Buffer.concat(chunks))
      },
    )
    sent.on('error', () => incoming.socket.destroy())
    incoming.pipe(sent)
  }
}
