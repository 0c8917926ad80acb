// sys.ts against the real kernel: windows into namespaces, redirected and source-preserving connections, IPv4 and IPv6.
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { errnoOf } from '../../core/net/errno.ts'
import {
  bindMount,
  closeDescriptor,
  interfaceAddresses,
  NetworkNamespace,
  peerCredentials,
  tcpListener,
  tcpSocket,
  udpSocket,
  unmountDetach,
  warmThreadPool,
} from '../../core/net/sys.ts'
import { ask, scratch, serve } from '../helpers/scratch-connections.ts'

await warmThreadPool()
const own = statSync('/proc/self/ns/net').ino

t.test('a window sees the namespace, and the thread is back afterwards', (t) => {
  const { namespace, path, exec } = scratch(t)
  exec('ip', 'addr', 'add', '10.9.9.9/32', 'dev', 'lo')
  exec('ip', 'addr', 'add', '169.254.3.3/32', 'dev', 'lo')
  exec('ip', 'addr', 'add', 'fd00:9::9/128', 'dev', 'lo', 'nodad')
  t.equal(namespace.inode, statSync(path).ino)
  t.equal(NetworkNamespace.self().inode, own)
  t.same(namespace.run(interfaceAddresses).sort(), ['10.9.9.9', 'fd00:9::9'])
  t.notOk(interfaceAddresses().includes('10.9.9.9'))
  t.equal(statSync('/proc/thread-self/ns/net').ino, own)
  t.end()
})

t.test('a window that throws returns home and passes the error on', (t) => {
  const { namespace } = scratch(t)
  const error = new Error('on purpose')
  const failing = () =>
    namespace.run(() => {
      throw error
    })
  t.throws(failing, error)
  t.equal(statSync('/proc/thread-self/ns/net').ino, own)
  t.equal(
    namespace.run(() => 1),
    1,
    'the next window opens',
  )
  t.end()
})

t.test('a window refuses promises, windows inside it, and closed namespaces', (t) => {
  const { namespace, path } = scratch(t)
  t.throws(() => namespace.run(() => Promise.resolve(1)), TypeError)
  t.throws(() => namespace.run(() => namespace.run(() => 1)), { code: 'SYSTEM_CALL' })
  t.equal(
    namespace.run(() => 1),
    1,
  )
  const other = NetworkNamespace.open(path)
  other.close()
  other.close()
  t.throws(() => other.run(() => 1), { code: 'SYSTEM_CALL' })
  t.equal(statSync('/proc/thread-self/ns/net').ino, own)
  t.end()
})

t.test('opening checks that the path is the namespace that was meant', (t) => {
  const { path, namespace } = scratch(t)
  NetworkNamespace.open(path, namespace.inode).close()
  t.throws(() => NetworkNamespace.open(path, namespace.inode + 1), { code: 'SYSTEM_CALL', message: /replaced/ })
  t.throws(() => NetworkNamespace.open('/run/netns/cvt-none'), { code: 'SYSTEM_CALL', message: /cvt-none/ })
  const file = NetworkNamespace.open('/etc/hostname')
  t.throws(() => file.run(() => 1), { code: 'SYSTEM_CALL', message: /not a network namespace/ })
  file.close()
  const pid = NetworkNamespace.open('/proc/self/ns/pid')
  t.throws(() => pid.run(() => 1), { code: 'SYSTEM_CALL' }, 'another kind of namespace')
  pid.close()
  t.end()
})

t.test('a listener made in a window accepts there and nowhere else', async (t) => {
  const { namespace } = scratch(t)
  for (const [family, address] of [
    ['ipv4', '127.0.0.1'],
    ['ipv6', '::1'],
  ] as const) {
    const port = await serve(
      t,
      namespace.run(() => tcpListener({ address, port: 0 })),
      () => 'inside',
    )
    t.equal(
      await ask(
        namespace.run(() => tcpSocket({ family })),
        { address, port },
      ),
      'inside',
    )
    await t.rejects(ask(tcpSocket({ family }), { address, port }), { code: 'ECONNREFUSED' })
  }
})

t.test('a dual-stack listener takes both families, and v6Only leaves IPv4 to another', async (t) => {
  const { namespace } = scratch(t)
  const port = await serve(
    t,
    namespace.run(() => tcpListener({ address: '::', port: 0 })),
    () => 'dual',
  )
  for (const [family, address] of [
    ['ipv4', '127.0.0.1'],
    ['ipv6', '::1'],
  ] as const) {
    t.equal(
      await ask(
        namespace.run(() => tcpSocket({ family })),
        { address, port },
      ),
      'dual',
    )
  }
  const four = () => tcpListener({ address: '0.0.0.0', port })
  t.throws(() => namespace.run(four), { code: 'SYSTEM_CALL', message: /EADDRINUSE.*ss -ltnp/ })
  const six = namespace.run(() => tcpListener({ address: '::', port: 0, v6Only: true }))
  const sixPort = await serve(t, six, () => 'six')
  await serve(
    t,
    namespace.run(() => tcpListener({ address: '0.0.0.0', port: sixPort })),
    () => 'four',
  )
  t.equal(
    await ask(
      namespace.run(() => tcpSocket({ family: 'ipv4' })),
      { address: '127.0.0.1', port: sixPort },
    ),
    'four',
  )
  t.equal(
    await ask(
      namespace.run(() => tcpSocket({ family: 'ipv6' })),
      { address: '::1', port: sixPort },
    ),
    'six',
  )
})

t.test('two listeners share a port with reusePort only', async (t) => {
  const { namespace } = scratch(t)
  const listen = (port: number) => namespace.run(() => tcpListener({ address: '127.0.0.1', port, reusePort: true }))
  const port = await serve(t, listen(0), () => 'one')
  await serve(t, listen(port), () => 'two')
  const answers = new Set<string>()
  for (let tries = 0; tries < 60 && answers.size < 2; tries += 1) {
    answers.add(
      await ask(
        namespace.run(() => tcpSocket({ family: 'ipv4' })),
        { address: '127.0.0.1', port },
      ),
    )
  }
  t.same([...answers].sort(), ['one', 'two'])
})

t.test('a namespace without IPv6 says so, with a name to decide on', (t) => {
  const { namespace, exec } = scratch(t)
  exec('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1')
  const attempt = () => namespace.run(() => tcpListener({ address: '::1', port: 0 }))
  t.throws(attempt, { code: 'SYSTEM_CALL' })
  try {
    attempt()
  } catch (error: unknown) {
    t.equal(errnoOf(error), 'EADDRNOTAVAIL')
  }
  t.end()
})

t.test('a UDP socket is bound where it was made, one per family', async (t) => {
  const { namespace, exec } = scratch(t)
  const port = 15053
  const fds = ['0.0.0.0', '::'].map((address) => namespace.run(() => udpSocket({ address, port, mark: 0x539 })))
  const listening = exec('ss', '-Hluna', 'sport', '=', `:${port}`).trim().split('\n')
  t.equal(listening.length, 2)
  const { createSocket } = await import('node:dgram')
  const socket = createSocket('udp4')
  socket.bind({ fd: fds[0]! })
  t.equal(socket.address().port, port, 'Node binds a descriptor at once')
  socket.close()
  closeDescriptor(fds[1]!)
  t.throws(() => closeDescriptor(fds[1]!), { code: 'SYSTEM_CALL', message: /EBADF/ })
})

t.test('the peer of a unix socket is known by the kernel', async (t) => {
  const path = `${t.testdir()}/s`
  const server = createServer((socket) => socket.end(JSON.stringify(peerCredentials(socket)))).listen(path)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { connect } = await import('node:net')
  t.same(JSON.parse(await text(connect(path))), { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() })
})

t.test('a bind mount keeps a namespace alive after its name is gone', (t) => {
  const { path, namespace } = scratch(t)
  const pin = `${t.testdir()}/pin`
  writeFileSync(pin, '')
  bindMount(path, pin)
  const again = NetworkNamespace.open(pin, namespace.inode)
  t.equal(again.inode, namespace.inode)
  again.close()
  unmountDetach(pin)
  t.equal(statSync(pin).size, 0)
  t.not(statSync(pin).ino, namespace.inode)
  t.throws(() => unmountDetach(pin), { code: 'SYSTEM_CALL', message: /nothing is mounted/ })
  t.throws(() => bindMount(path, `${pin}-none`), { code: 'SYSTEM_CALL', message: /ENOENT/ })
  t.end()
})

t.test('nothing leaks a descriptor, failures included', async (t) => {
  const { namespace, path } = scratch(t)
  const port = await serve(
    t,
    namespace.run(() => tcpListener({ address: '127.0.0.1', port: 0 })),
    () => 'x',
  )
  const round = async () => {
    NetworkNamespace.open(path).close()
    for (const attempt of [
      () => NetworkNamespace.open(path, 1),
      () => namespace.run(() => tcpListener({ address: '127.0.0.1', port })),
      () => namespace.run(() => tcpListener({ address: '192.0.2.1', port: 0 })),
      () => namespace.run(() => tcpSocket({ family: 'ipv6', bind: { address: '2001:db8::1', port: 0 } })),
      () => namespace.run(() => udpSocket({ address: '192.0.2.1', port: 53 })),
    ]) {
      t.throws(attempt, { code: 'SYSTEM_CALL' })
    }
    await ask(
      namespace.run(() => tcpSocket({ family: 'ipv4' })),
      { address: '127.0.0.1', port },
    )
  }
  await round()
  const before = await settledDescriptors()
  for (let count = 0; count < 20; count += 1) await round()
  t.ok((await settledDescriptors()) <= before)
})

/** Descriptors after closing sockets had their turns. */
async function settledDescriptors(): Promise<number> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate)
  return readdirSync('/proc/self/fd').length
}

t.test('every thread of this process lives in its own namespace after all of this', (t) => {
  for (const task of readdirSync('/proc/self/task')) {
    t.equal(
      readlinkSync(`/proc/self/task/${task}/ns/net`),
      `net:[${own}]`,
      readFileSync(`/proc/self/task/${task}/comm`, 'utf8'),
    )
  }
  t.end()
})
