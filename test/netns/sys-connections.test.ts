// Connections of sys.ts against the real kernel: redirected ones and their original destination, source-preserving ones,
// sockets that wait or die before they connect. IPv4 and IPv6.

import { text } from 'node:stream/consumers'
import t from 'tap'
import type { AddressFamily, SocketAddress } from '../../core/net/address.ts'
import {
  boundSocket,
  closeDescriptor,
  descriptorOf,
  tcpListener,
  tcpSocket,
  warmThreadPool,
} from '../../core/net/sys.ts'
import { originalDestination } from '../../core/net/sys-ends.ts'
import { ask, scratch, serve } from '../helpers/scratch-connections.ts'
import type { ScratchNamespace } from '../helpers/scratch-namespace.ts'

await warmThreadPool()

const redirected: readonly {
  readonly family: AddressFamily
  readonly tables: string
  readonly target: SocketAddress
}[] = [
  { family: 'ipv4', tables: 'iptables-restore', target: { address: '240.240.0.7', port: 8080 } },
  { family: 'ipv6', tables: 'ip6tables-restore', target: { address: '2001:2::7', port: 8443 } },
]

/** A wire that leads nowhere, with the routes of a workload: without a route an address is unreachable before NAT sees it. */
function giveDefaultRoutes(exec: ScratchNamespace['exec']): void {
  exec('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1')
  for (const end of ['eth0', 'eth1']) exec('ip', 'link', 'set', end, 'up')
  exec('ip', 'addr', 'add', '10.9.8.8/24', 'dev', 'eth0')
  exec('ip', 'addr', 'add', 'fd00:8::8/64', 'dev', 'eth0', 'nodad')
  for (const family of ['-4', '-6']) exec('ip', family, 'route', 'add', 'default', 'dev', 'eth0')
}

for (const { family, tables, target } of redirected) {
  for (const listenOn of ['::', family === 'ipv4' ? '0.0.0.0' : '::1']) {
    t.test(`a redirected ${family} connection tells its original destination on ${listenOn}`, async (t) => {
      const { namespace, exec, feed } = scratch(t)
      giveDefaultRoutes(exec)
      const seen: (SocketAddress | undefined)[] = []
      const fd = namespace.run(() => tcpListener({ address: listenOn, port: 0 }))
      const port = await serve(t, fd, (socket) => {
        seen.push(originalDestination(socket), originalDestination(descriptorOf(socket)))
        return 'redirected'
      })
      const rule = `-A OUTPUT -p tcp -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports ${port}`
      feed(`*nat\n${rule}\nCOMMIT\n`, tables, '--noflush')
      t.equal(
        await ask(
          namespace.run(() => tcpSocket({ family })),
          target,
        ),
        'redirected',
      )
      t.same(seen, [target, target])
      const marked = namespace.run(() => tcpSocket({ family, mark: 0x539 }))
      const local = family === 'ipv4' ? '127.0.0.1' : '::1'
      t.equal(await ask(marked, { address: local, port }), 'redirected', 'the mark keeps a socket out of the rule')
      t.same(seen[2], { address: local, port }, 'not redirected: its own local address')
    })
  }
}

t.test('original destination of a closed socket is undefined', async (t) => {
  const { namespace } = scratch(t)
  const socket = boundSocket(namespace.run(() => tcpSocket({ family: 'ipv4' })))
  socket.destroy()
  t.equal(originalDestination(socket), undefined)
  t.throws(() => descriptorOf(socket), { code: 'SYSTEM_CALL' })
  t.equal(originalDestination(await openUnconnected(t)), undefined, 'an unconnected socket has none')
})

async function openUnconnected(t: { teardown(done: () => void): void }): Promise<number> {
  const fd = tcpSocket({ family: 'ipv4' })
  t.teardown(() => closeDescriptor(fd))
  return fd
}

const spoofed = [
  { family: 'ipv4', source: '10.77.1.2', local: '10.9.9.9', all: '0.0.0.0/0' },
  { family: 'ipv6', source: 'fd00:77::2', local: 'fd00:9::9', all: '::/0' },
] as const

/** The rules of ambient.md section 3 that lead replies to a stranger's address back to the proxy. */
function leadRepliesHome({ exec, feed }: ScratchNamespace, { family, local, all }: (typeof spoofed)[number]): void {
  const ip = family === 'ipv4' ? '-4' : '-6'
  giveDefaultRoutes(exec)
  exec('ip', 'addr', 'add', local, 'dev', 'lo', ...(family === 'ipv6' ? ['nodad'] : []))
  exec('ip', ip, 'rule', 'add', 'fwmark', '0x111/0xfff', 'pref', '32764', 'lookup', '100')
  exec('ip', ip, 'route', 'add', 'local', all, 'dev', 'lo', 'table', '100')
  const rules = [
    '-A PREROUTING -m mark --mark 0x539/0xfff -j CONNMARK --set-xmark 0x111/0xfff',
    '-A OUTPUT -m connmark --mark 0x111/0xfff -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff',
  ]
  feed(
    `*mangle\n${rules.join('\n')}\nCOMMIT\n`,
    family === 'ipv4' ? 'iptables-restore' : 'ip6tables-restore',
    '--noflush',
  )
}

for (const row of spoofed) {
  t.test(`a transparent ${row.family} connection reaches the application with the caller's address`, async (t) => {
    const made = scratch(t)
    const { family, source, local } = row
    leadRepliesHome(made, row)
    const seen: string[] = []
    const fd = made.namespace.run(() => tcpListener({ address: local, port: 0 }))
    const port = await serve(t, fd, (socket) => {
      seen.push(socket.remoteAddress ?? '')
      return 'application'
    })
    const caller = { address: source, port: 0 }
    const connecting = () => tcpSocket({ family, mark: 0x539, bind: caller, transparent: true, freebind: true })
    t.equal(await ask(made.namespace.run(connecting), { address: local, port }), 'application')
    t.same(seen, [source])
    const plain = () => tcpSocket({ family, bind: caller })
    t.throws(() => made.namespace.run(plain), { code: 'SYSTEM_CALL', message: /EADDRNOTAVAIL/ }, 'only when asked for')
  })
}

t.test('a socket that was destroyed before it connected never connects from elsewhere', (t) => {
  const { namespace } = scratch(t)
  const socket = boundSocket(namespace.run(() => tcpSocket({ family: 'ipv4' })))
  socket.destroy()
  t.throws(() => socket.connect(80, '127.0.0.1'), { code: 'ABORTED' })
  t.end()
})

t.test('a socket may wait before it connects', async (t) => {
  const { namespace } = scratch(t)
  const port = await serve(
    t,
    namespace.run(() => tcpListener({ address: '127.0.0.1', port: 0 })),
    () => 'late',
  )
  const socket = boundSocket(namespace.run(() => tcpSocket({ family: 'ipv4' })))
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate)
  socket.connect(port, '127.0.0.1')
  t.equal(await text(socket), 'late')
})
