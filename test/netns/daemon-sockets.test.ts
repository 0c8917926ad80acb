// The daemon's sockets as the kernel sees them, in a namespace of a workload. Needs root.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { deadline } from '../../core/base/deadline.ts'
import type { LocalWorkload } from '../../core/feed/handoff.ts'
import { descriptorOf } from '../../core/net/sys.ts'
import { calls } from '../../core/net/sys-calls.ts'
import { NamespaceSockets } from '../../daemon/sockets.ts'
import { scratch } from '../helpers/scratch-connections.ts'
import type { ScratchNamespace } from '../helpers/scratch-namespace.ts'

const port = 15_001

function localIn({ path, namespace }: ScratchNamespace): LocalWorkload {
  return {
    uid: 'h1/shop/client/1',
    namespace: 'shop',
    name: 'client',
    identity: 'spiffe://cluster.local/ns/shop/sa/client',
    addresses: ['127.0.0.1'],
    netns: { path, inode: namespace.inode },
    nameservers: [],
  }
}

/** TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT, the first two in seconds. */
function keepAliveOf(socket: Socket): readonly number[] {
  return [4, 5, 6].map((name) => {
    const value = Buffer.alloc(4)
    const length = Buffer.from([4, 0, 0, 0])
    calls.getsockopt(descriptorOf(socket), 6, name, value, length)
    return value.readInt32LE()
  })
}

t.test(
  'a burst of connections waits in the queue of a listener, and a quiet one outlives a short outage',
  async (t) => {
    const space = scratch(t)
    const local = localIn(space)
    const sockets = new NamespaceSockets()
    sockets.open(local)
    t.teardown(() => sockets.close(local))
    const accepted = Promise.withResolvers<Socket>()
    const at = { address: '0.0.0.0', port, listeners: 3 }
    const servers = await sockets.listen(local, at, (socket) => accepted.resolve(socket))
    t.teardown(() => {
      for (const server of servers) server.close()
    })
    // State, Recv-Q, Send-Q (the backlog), local address
    const lines = space.exec('ss', '-Hltn', `sport = :${port}`).trim().split('\n')
    t.equal(lines.length, 3, 'a rush is spread over listeners that share the port')
    const listening = lines[0]!.split(/\s+/)
    const limit = Number(space.exec('cat', '/proc/sys/net/core/somaxconn'))
    t.equal(Number(listening[2]), Math.min(4096, limit))
    const client = await sockets.connectTcp({
      workload: local,
      to: { address: '127.0.0.1', port },
      transparent: false,
      signal: deadline(5000),
    })
    for (const socket of [client, await accepted.promise]) t.same(keepAliveOf(socket), [180, 180, 9])
    client.destroy()
    await once(client, 'close')
  },
)
