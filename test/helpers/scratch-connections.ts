// Tiny servers and clients on descriptors of sys.ts, for the tests of sockets in scratch namespaces.
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { deadline } from '../../core/base/deadline.ts'
import { formatSocketAddress, type SocketAddress } from '../../core/net/address.ts'
import { boundSocket } from '../../core/net/sys.ts'
import { type ScratchNamespace, scratchNamespace } from './scratch-namespace.ts'

const soon = () => deadline(10_000)

export function scratch(t: { teardown(done: () => void): void }): ScratchNamespace {
  const made = scratchNamespace()
  t.teardown(() => made[Symbol.dispose]())
  return made
}

/** Listens on a descriptor; `answer` may look at the connection before it says something and closes. */
export async function serve(
  t: { teardown(done: () => void): void },
  fd: number,
  answer: (socket: Socket) => string,
): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => socket.end(answer(socket)))
  server.listen({ fd })
  await once(server, 'listening', { signal: soon() })
  t.teardown(() => {
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no address')
  return address.port
}

export async function ask(fd: number, to: SocketAddress): Promise<string> {
  const socket = boundSocket(fd)
  socket.setTimeout(5000, () => socket.destroy(new Error(`no answer from ${formatSocketAddress(to)}`)))
  socket.connect(to.port, to.address)
  const answer = await text(socket)
  socket.destroy()
  return answer
}
