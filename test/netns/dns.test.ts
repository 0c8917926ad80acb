// The DNS proxy on the real sockets: inside a workload's namespace, behind the real redirection of port 53.
import dgram from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'
import { decode, encode } from 'dns-packet'
import t, { type Test } from 'tap'
import { nullLogger } from '../../core/base/log.ts'
import { boundSocket, closeDescriptor, tcpListener, tcpSocket, udpSocket } from '../../core/net/sys.ts'
import { FrameReader, frame } from '../../daemon/dns/frames.ts'
import { startDns } from '../../daemon/dns/server.ts'
import { type DnsSockets, namespaceDnsSockets } from '../../daemon/dns/sockets.ts'
import { dnsCounters, respond } from '../helpers/dns.ts'
import { service, snapshotOf } from '../helpers/model.ts'
import { type ScratchNamespace, scratchNamespace } from '../helpers/scratch-namespace.ts'

const families = [
  { name: 'IPv4', type: 'udp4', tables: 'iptables', own: '10.99.0.1', server: '10.99.0.2', loopback: '127.0.0.1/32' },
  { name: 'IPv6', type: 'udp6', tables: 'ip6tables', own: 'fd99::1', server: 'fd99::2', loopback: '::1/128' },
] as const
type Family = (typeof families)[number]

/** A workload and a nameserver, each in a namespace of its own, with a wire between them. */
function world(t: Test, family: Family): { workload: ScratchNamespace; outside: ScratchNamespace } {
  const workload = scratchNamespace()
  t.teardown(() => workload[Symbol.dispose]())
  const outside = scratchNamespace()
  t.teardown(() => outside[Symbol.dispose]())
  workload.exec('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.name)
  for (const [side, address] of [
    [workload, family.own],
    [outside, family.server],
  ] as const) {
    const prefix = family.name === 'IPv4' ? '24' : '64'
    const flags = family.name === 'IPv4' ? [] : ['nodad']
    side.exec('ip', 'address', 'add', `${address}/${prefix}`, 'dev', 'eth0', ...flags)
    side.exec('ip', 'link', 'set', 'eth0', 'up')
  }
  const redirect = ['-t', 'nat', '-A', 'OUTPUT', '-m', 'mark', '!', '--mark', '0x539/0xfff']
  const to = ['--dport', '53', '-j', 'REDIRECT', '--to-ports', '15053']
  workload.exec(family.tables, ...redirect, '!', '-o', 'lo', '-p', 'udp', ...to)
  workload.exec(family.tables, ...redirect, '!', '-d', family.loopback, '-p', 'tcp', ...to)
  return { workload, outside }
}

/** Answers every query with 192.0.2.1, over UDP and TCP, and remembers who asked. */
async function nameserver(t: Test, outside: ScratchNamespace, family: Family): Promise<string[]> {
  const asked: string[] = []
  const answer = (bytes: Buffer, over: string): Buffer => {
    const query = decode(bytes)
    const name = query.questions?.[0]?.name ?? ''
    asked.push(`${name} over ${over}`)
    return respond(query, { answers: [{ type: 'A', name, data: '192.0.2.1' }] })
  }
  const at = { address: family.server, port: 53 }
  const udp = dgram.createSocket(family.type).bind({ fd: outside.namespace.run(() => udpSocket(at)) })
  udp.on('message', (bytes, { port, address }) => udp.send(answer(bytes, 'UDP'), port, address))
  const tcp = net.createServer((socket) => {
    const reader = new FrameReader()
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      for (const message of reader.push(chunk)) socket.write(frame(answer(message, 'TCP')))
    })
  })
  tcp.listen({ fd: outside.namespace.run(() => tcpListener(at)) })
  await once(tcp, 'listening')
  t.teardown(() => {
    udp.close()
    tcp.close()
  })
  return asked
}

function query(name: string): Buffer {
  return encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type: 'A', name }] })
}

/** Connected, so that an answer from any other address than the one asked would not arrive. */
async function towardsNameserver(workload: ScratchNamespace, family: Family): Promise<dgram.Socket> {
  const address = family.name === 'IPv4' ? '0.0.0.0' : '::'
  const fd = workload.namespace.run(() => udpSocket({ address, port: 0 }))
  const socket = dgram.createSocket(family.type).bind({ fd })
  socket.connect(53, family.server)
  await once(socket, 'connect')
  return socket
}

async function ask(socket: dgram.Socket, name: string) {
  try {
    socket.send(query(name))
    const [message] = await once(socket, 'message', { signal: AbortSignal.timeout(5000) })
    return decode(message as Buffer)
  } finally {
    socket.close()
  }
}

/** Asks the nameserver as an application would: redirection takes the query to the proxy. */
async function askUdp(workload: ScratchNamespace, family: Family, name: string) {
  return await ask(await towardsNameserver(workload, family), name)
}

async function askTcp(workload: ScratchNamespace, family: Family, name: string) {
  const ip = family.name === 'IPv4' ? 'ipv4' : 'ipv6'
  const socket = boundSocket(workload.namespace.run(() => tcpSocket({ family: ip })))
  const reader = new FrameReader()
  socket.connect(53, family.server)
  socket.write(frame(query(name)))
  const signal = AbortSignal.timeout(5000)
  for (;;) {
    const [chunk] = await once(socket, 'data', { signal })
    const [message] = reader.push(chunk as Buffer)
    if (message === undefined) continue
    socket.destroy()
    return decode(message)
  }
}

for (const family of families) {
  t.test(`a captured workload resolves names of the mesh and of the world over ${family.name}`, async (t) => {
    const { workload, outside } = world(t, family)
    const asked = await nameserver(t, outside, family)
    const proxy = await startDns({
      snapshot: snapshotOf(service()),
      workload: { namespace: 'shop', name: 'client', addresses: [family.own], nameservers: [family.server] },
      sockets: namespaceDnsSockets(workload.namespace),
      counters: dnsCounters(),
      log: nullLogger(),
    })
    t.teardown(proxy.close)
    t.same(proxy.udp, [
      { address: '127.0.0.1', port: 15053 },
      { address: '::1', port: 15053 },
    ])
    t.match(await askUdp(workload, family, 'orders'), { id: 7, answers: [{ data: '240.240.0.1' }] })
    t.match(await askTcp(workload, family, 'orders.shop'), { id: 7, answers: [{ data: '240.240.0.1' }] })
    t.same(asked, [], 'names of the mesh do not leave the workload')
    t.match(await askUdp(workload, family, 'example.com'), { id: 7, answers: [{ data: '192.0.2.1' }] })
    t.match(await askTcp(workload, family, 'example.org'), { id: 7, answers: [{ data: '192.0.2.1' }] })
    t.same(asked, ['example.com over UDP', 'example.org over TCP'], 'forwarded once each, without a loop')
    await proxy.close()
    await t.rejects(askUdp(workload, family, 'orders'), 'a captured query has no other way when the proxy is gone')
  })
}

t.test('a proxy that drains answers what has reached it, and what comes then reaches the one beside it', async (t) => {
  const family = families[0]
  const { workload, outside } = world(t, family)
  const asked = await nameserver(t, outside, family)
  const start = async (sockets: DnsSockets) => {
    const proxy = await startDns({
      snapshot: snapshotOf(service()),
      workload: { namespace: 'shop', name: 'client', addresses: [family.own], nameservers: [family.server] },
      sockets,
      counters: dnsCounters(),
      log: nullLogger(),
    })
    t.teardown(proxy.close)
    return proxy
  }
  const own = namespaceDnsSockets(workload.namespace)
  const callers = await Promise.all(Array.from({ length: 20 }, () => towardsNameserver(workload, family)))
  let early: ReturnType<typeof ask>[] = []
  const former = await start({
    ...own,
    deafen: (socket) => {
      // These are in the sockets, half of them in the one that leaves, before anybody can have read them.
      if (socket.address().address === '127.0.0.1')
        early = callers.map((caller, index) => ask(caller, `early${index}.org`))
      own.deafen(socket)
    },
  })
  await start(own)
  const drained = former.drain()
  const late = Array.from({ length: 20 }, (_, index) => askUdp(workload, family, `late${index}.org`))
  const answers = await Promise.all([...early, ...late, askTcp(workload, family, 'late.example.org')])
  t.equal(answers.length, 41)
  const data = answers.map(({ answers: [first] = [] }) => first !== undefined && 'data' in first && first.data)
  t.same(new Set(data), new Set(['192.0.2.1']))
  await drained
  t.match(await askUdp(workload, family, 'orders'), { answers: [{ data: '240.240.0.1' }] })
  t.equal(asked.length, 41)
})

t.test('a namespace without IPv6 gets a proxy on IPv4', async (t) => {
  const workload = scratchNamespace()
  t.teardown(() => workload[Symbol.dispose]())
  workload.exec('sysctl', '-w', 'net.ipv6.conf.all.disable_ipv6=1')
  const proxy = await startDns({
    snapshot: snapshotOf(),
    workload: { namespace: 'shop', name: 'client', addresses: [], nameservers: [] },
    sockets: namespaceDnsSockets(workload.namespace),
    counters: dnsCounters(),
    log: nullLogger(),
  })
  t.teardown(proxy.close)
  t.same(proxy.udp, [{ address: '127.0.0.1', port: 15053 }])
  t.same(proxy.tcp, [{ address: '127.0.0.1', port: 15053 }])
})

t.test('a namespace whose port is taken does not get half a proxy', async (t) => {
  const workload = scratchNamespace()
  t.teardown(() => workload[Symbol.dispose]())
  const taken = net.createServer()
  taken.listen({ fd: workload.namespace.run(() => tcpListener({ address: '127.0.0.1', port: 15053 })) })
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const options = {
    snapshot: snapshotOf(),
    workload: { namespace: 'shop', name: 'client', addresses: [], nameservers: [] },
    sockets: namespaceDnsSockets(workload.namespace),
    counters: dnsCounters(),
    log: nullLogger(),
  }
  await t.rejects(startDns(options))
  closeDescriptor(workload.namespace.run(() => udpSocket({ address: '127.0.0.1', port: 15053 })))
  t.pass('the UDP port was given back')
})
