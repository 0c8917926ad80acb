// Asks HTTP questions from inside a lab's namespaces without starting a process: the socket is made there, the rest is Node's.
// Used by lab.ts to see whether daemons and echo workloads are up, and by the netns tests.
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { deadline } from '../core/base/deadline.ts'
import { familyOf } from '../core/net/address.ts'
import { boundSocket, NetworkNamespace, tcpSocket, warmThreadPool } from '../core/net/sys.ts'
import { netnsPath } from './network.ts'

export interface ProbeTarget {
  readonly address: string
  readonly port: number
  readonly path: string
}

/** A TCP connection whose socket belongs to the network namespace; it connects as usual. */
export function socketInside(netns: string, target: { readonly address: string; readonly port: number }): Socket {
  using namespace = NetworkNamespace.open(netnsPath(netns))
  const socket = boundSocket(namespace.run(() => tcpSocket({ family: familyOf(target.address) })))
  socket.connect(target.port, target.address)
  return socket
}

/** One GET from inside a namespace. Rejects on any failure or after `timeoutMs`. */
export async function getInside(
  netns: string,
  target: ProbeTarget,
  timeoutMs = 2_000,
): Promise<{ readonly status: number; readonly body: string }> {
  await warmThreadPool() // a pool thread first made inside the window would stay in that namespace
  const socket = socketInside(netns, target)
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>()
  const outgoing = request({
    createConnection: () => socket,
    host: target.address,
    port: target.port,
    path: target.path,
    headers: { connection: 'close' },
    signal: deadline(timeoutMs),
  })
  outgoing.once('error', reject)
  outgoing.once('response', (response) => {
    text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
  })
  outgoing.end()
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}
