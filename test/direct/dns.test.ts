import { setTimeout as wait } from 'node:timers/promises'
import { type Answer, decode, encode } from 'dns-packet'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { nullLogger } from '../../core/base/log.ts'
import { formatSocketAddress } from '../../core/net/address.ts'
import { type DnsOptions, startDns } from '../../daemon/dns/server.ts'
import {
  askTcp,
  askUdp,
  dnsCounters,
  type Nameserver,
  type NameserverBehaviour,
  processDnsSockets,
  respond,
  startNameserver,
} from '../helpers/dns.ts'
import { service, snapshotOf, workload } from '../helpers/model.ts'

const crowd = Array.from({ length: 200 }, (_, i) =>
  workload({
    name: `w${i}`,
    addresses: [`10.1.0.${i}`],
    services: [{ service: 'shop/crowd.shop.svc.cluster.local', ports: { 80: 80 } }],
  }),
)
const snapshot = snapshotOf(service(), service({ name: 'crowd', headless: true, vips: [] }), ...crowd)

async function start(t: Test, nameservers: readonly Nameserver[], more: Partial<DnsOptions> = {}) {
  const sockets = processDnsSockets()
  const counters = dnsCounters()
  const proxy = await startDns({
    snapshot,
    workload: {
      namespace: 'shop',
      name: 'client',
      addresses: ['10.0.9.9'],
      nameservers: nameservers.map(({ address }) => formatSocketAddress(address)),
    },
    sockets,
    counters,
    log: nullLogger(),
    port: 0,
    forwardDeadlineMs: 400,
    ...more,
  })
  t.teardown(proxy.close)
  return { proxy, udp: proxy.udp[0]!, tcp: proxy.tcp[0]!, sockets, counters }
}

async function nameserver(t: Test, behave: NameserverBehaviour): Promise<Nameserver> {
  const server = await startNameserver(behave)
  t.teardown(server.close)
  return server
}

function query(name: string, id = 7, udpPayloadSize?: number): Buffer {
  const opt: Answer[] =
    udpPayloadSize === undefined
      ? []
      : [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
  return encode({ type: 'query', id, flags: 0x100, questions: [{ type: 'A', name }], additionals: opt })
}

const answering: NameserverBehaviour = (asked, reply) => {
  const name = asked.questions?.[0]?.name ?? ''
  reply(respond(asked, { answers: [{ type: 'A', name, data: '192.0.2.1', ttl: 60 }] }))
}

t.test('names of services are answered over UDP and TCP, on IPv4 and IPv6 loopback', async (t) => {
  const { proxy } = await start(t, [])
  t.ok(proxy.udp.length >= 1)
  for (const [index, at] of proxy.udp.entries()) {
    t.match(decode((await askUdp(at, query('orders.shop')))!), { id: 7, answers: [{ data: '240.240.0.1' }] })
    const [answer] = await askTcp(proxy.tcp[index]!, query('orders'))
    t.match(decode(answer!), { id: 7, answers: [{ data: '240.240.0.1' }] })
  }
})

t.test('other names go to the nameserver with another id, and come back with the own one', async (t) => {
  const upstream = await nameserver(t, answering)
  const { udp, tcp, counters } = await start(t, [upstream])
  const ids = new Set<number | undefined>()
  for (let id = 1; id <= 8; id++) {
    t.match(decode((await askUdp(udp, query('Example.com', id)))!), { id, answers: [{ data: '192.0.2.1' }] })
  }
  const [answer] = await askTcp(tcp, query('example.com', 9))
  t.match(decode(answer!), { id: 9, answers: [{ data: '192.0.2.1' }] })
  for (const asked of upstream.asked) ids.add(asked.id)
  t.ok(ids.size >= 8, 'ids are random')
  t.ok(new Set(upstream.sourcePorts).size >= 6, 'and so are source ports')
  t.equal(upstream.asked[0]?.questions?.[0]?.name, 'Example.com', 'the question passes as it came')
  t.equal(counters.requests.udp.value, 8)
  t.equal(counters.upstreamRequests.udp.value, 8)
  t.equal(counters.upstreamRequests.tcp.value, 1)
})

t.test('names of the mesh zone are never forwarded', async (t) => {
  const upstream = await nameserver(t, answering)
  const { udp } = await start(t, [upstream])
  t.match(decode((await askUdp(udp, query('nothing.shop.svc.cluster.local')))!), { rcode: 'NXDOMAIN', flag_aa: true })
  t.same(upstream.asked, [])
})

t.test('the next nameserver is asked when one is silent, refuses, fails, or is not there', async (t) => {
  const silent = await nameserver(t, () => {})
  const refusing = await nameserver(t, (asked, reply) => reply(respond(asked, { flags: 0x8185 })))
  const failing = await nameserver(t, (asked, reply) => {
    const bare = Buffer.alloc(12)
    bare.writeUInt16BE(asked.id ?? 0, 0)
    bare.writeUInt16BE(0x8182, 2)
    reply(bare)
  })
  const gone = await startNameserver(() => {})
  await gone.close()
  for (const first of [silent, refusing, failing, gone]) {
    const good = await nameserver(t, answering)
    const { udp, tcp } = await start(t, [first, good])
    t.match(decode((await askUdp(udp, query('example.com')))!), { answers: [{ data: '192.0.2.1' }] })
    const [answer] = await askTcp(tcp, query('example.com'))
    t.match(decode(answer!), { answers: [{ data: '192.0.2.1' }] })
  }
})

t.test('a refusal of every nameserver is passed on', async (t) => {
  const refusing = await nameserver(t, (asked, reply) => reply(respond(asked, { flags: 0x8185 })))
  const { udp } = await start(t, [refusing, refusing])
  t.match(decode((await askUdp(udp, query('example.com')))!), { id: 7, rcode: 'REFUSED' })
})

t.test('a lost datagram is sent again within the deadline', async (t) => {
  let queries = 0
  const lossy = await nameserver(t, (asked, reply, bytes) => {
    queries++
    if (queries > 1) answering(asked, reply, bytes)
  })
  const { udp } = await start(t, [lossy], { forwardDeadlineMs: 1000 })
  t.match(decode((await askUdp(udp, query('example.com')))!), { answers: [{ data: '192.0.2.1' }] })
  t.equal(queries, 2)
})

t.test('without a nameserver, or without its answer, the client hears SERVFAIL', async (t) => {
  const none = await start(t, [])
  t.match(decode((await askUdp(none.udp, query('example.com')))!), { id: 7, rcode: 'SERVFAIL' })
  const silent = await start(t, [await nameserver(t, () => {})])
  t.match(decode((await askUdp(silent.udp, query('example.com')))!), { rcode: 'SERVFAIL' })
  t.equal(silent.counters.upstreamFailures.udp.value, 1)
  const gone = await startNameserver(() => {})
  await gone.close()
  const refused = await start(t, [gone], { forwardDeadlineMs: 60_000 })
  t.match(decode((await askUdp(refused.udp, query('example.com')))!), { rcode: 'SERVFAIL' }, 'at once, not after 60 s')
})

t.test('answers that do not fit the question are not believed', async (t) => {
  const poisons: NameserverBehaviour[] = [
    (asked, reply) => reply(respond({ ...asked, id: ((asked.id ?? 0) + 1) & 0xffff })),
    (asked, reply) => reply(respond({ ...asked, questions: [{ type: 'A', name: 'evil.example' }] })),
    (asked, reply) => reply(respond({ ...asked, questions: [{ type: 'AAAA', name: 'example.com' }] })),
    (_asked, reply, bytes) => reply(bytes),
    (_asked, reply) => reply(Buffer.from('junk')),
  ]
  for (const poison of poisons) {
    const liar = await nameserver(t, poison)
    const { udp } = await start(t, [liar])
    t.match(decode((await askUdp(udp, query('example.com')))!), { rcode: 'SERVFAIL' })
    const mixed = await nameserver(t, (asked, reply, bytes) => {
      poison(asked, reply, bytes)
      answering(asked, reply, bytes)
    })
    const second = await start(t, [mixed])
    t.match(decode((await askUdp(second.udp, query('example.com')))!), { answers: [{ data: '192.0.2.1' }] })
  }
})

t.test('a datagram from another port than the one asked is not believed', async (t) => {
  const upstream = await nameserver(t, (asked, reply, bytes) => {
    const spoofed = respond(asked, { answers: [{ type: 'A', name: 'example.com', data: '203.0.113.66' }] })
    const port = upstream.sourcePorts.at(-1)!
    askUdp({ address: '127.0.0.1', port }, spoofed, 20).then(() => answering(asked, reply, bytes))
  })
  const { udp } = await start(t, [upstream], { forwardDeadlineMs: 4000 })
  t.match(decode((await askUdp(udp, query('example.com')))!), { answers: [{ data: '192.0.2.1' }] })
})

t.test('own answers over UDP are cut to the size that the client takes, and whole over TCP', async (t) => {
  const { udp, tcp } = await start(t, [])
  const small = (await askUdp(udp, query('crowd')))!
  t.ok(small.length <= 512)
  t.match(decode(small), { flag_tc: true })
  const large = (await askUdp(udp, query('crowd', 7, 1232)))!
  t.ok(large.length > 1000 && large.length <= 1232)
  const [whole] = await askTcp(tcp, query('crowd'))
  const answer = decode(whole!)
  t.match(answer, { flag_tc: false })
  t.equal(answer.answers?.length, 200)
})

t.test('a forwarded answer larger than the client takes is cut, and a truncated one passes', async (t) => {
  const records: Answer[] = Array.from({ length: 60 }, () => ({ type: 'A', name: 'example.com', data: '192.0.2.1' }))
  const wordy = await nameserver(t, (asked, reply) => reply(respond(asked, { answers: records })))
  const { udp, tcp } = await start(t, [wordy])
  t.match(decode((await askUdp(udp, query('example.com')))!), { flag_tc: true, answers: [], rcode: 'NOERROR' })
  t.equal(decode((await askUdp(udp, query('example.com', 7, 4096)))!).answers?.length, 60)
  const [whole] = await askTcp(tcp, query('example.com'))
  t.equal(decode(whole!).answers?.length, 60)
  const cutting = await nameserver(t, (asked, reply) => reply(respond(asked, { flags: 0x380 })))
  const second = await start(t, [cutting])
  t.match(decode((await askUdp(second.udp, query('example.com')))!), { flag_tc: true })
})

t.test('several queries on one TCP connection are all answered', async (t) => {
  const upstream = await nameserver(t, answering)
  const { tcp } = await start(t, [upstream])
  const queries = Array.from({ length: 40 }, (_, id) => query(id % 2 === 0 ? 'orders' : 'example.com', id))
  const answers = (await askTcp(tcp, ...queries)).map((answer) => decode(answer).id)
  t.same(
    answers.sort((a, b) => (a ?? 0) - (b ?? 0)),
    queries.map((_, id) => id),
  )
})

t.test('forwarded queries are bounded, those above the bound fail at once and the mesh still answers', async (t) => {
  const silent = await nameserver(t, () => {})
  const { udp, sockets } = await start(t, [silent], { maxInFlight: 4, forwardDeadlineMs: 1500 })
  const startedAt = performance.now()
  const asked = Array.from({ length: 12 }, (_, id) =>
    askUdp(udp, query('example.com', id)).then((answer) => ({ answer, afterMs: performance.now() - startedAt })),
  )
  t.match(decode((await askUdp(udp, query('orders')))!), { answers: [{ data: '240.240.0.1' }] })
  const results = await Promise.all(asked)
  t.ok(results.every(({ answer }) => answer !== undefined && 'rcode' in decode(answer)))
  t.equal(results.filter(({ afterMs }) => afterMs < 1000).length, 8)
  t.ok(sockets.made.udp <= 8)
})

t.test('connections over TCP are bounded, and idle ones are closed', async (t) => {
  const { tcp } = await start(t, [], { maxTcpConnections: 1, tcpIdleMs: 200 })
  const net = await import('node:net')
  const idle = net.connect(tcp.port, tcp.address)
  await new Promise((resolve) => idle.once('connect', resolve))
  await wait(20)
  const second = net.connect(tcp.port, tcp.address).on('error', () => {})
  await new Promise((resolve) => second.once('close', resolve))
  t.notOk(idle.destroyed)
  idle.resume()
  await new Promise((resolve) => idle.once('close', resolve))
  const [answer] = await askTcp(tcp, query('orders'))
  t.ok(answer, 'there is room again')
})

t.test('garbage is dropped or answered with an error, and the proxy goes on', async (t) => {
  const { udp, tcp } = await start(t, [])
  const dgram = await import('node:dgram')
  const client = dgram.createSocket('udp4')
  t.teardown(() => client.close())
  for (const bytes of fc.sample(fc.uint8Array({ maxLength: 300 }), 100)) client.send(bytes, udp.port, udp.address)
  const damaged = query('orders')
  for (let cut = 12; cut < damaged.length; cut++) {
    const answer = await askUdp(udp, damaged.subarray(0, cut))
    t.match(decode(answer!), { id: 7, rcode: 'FORMERR' })
  }
  t.match(await askTcp(tcp, Buffer.from('x'), Buffer.alloc(0), Buffer.alloc(40)), [{}], 'one FORMERR')
  t.match(decode((await askUdp(udp, query('orders')))!), { answers: [{ data: '240.240.0.1' }] })
})

t.test('close stops everything at once, also with queries under way', async (t) => {
  const silent = await nameserver(t, () => {})
  const { proxy, udp } = await start(t, [silent], { forwardDeadlineMs: 60_000 })
  const pending = askUdp(udp, query('example.com'), 300)
  while (silent.asked.length === 0) await wait(5)
  await proxy.close()
  t.equal(await pending, undefined)
  t.equal(await askUdp(udp, query('orders'), 100), undefined)
})

t.test('without IPv6 the proxy listens on IPv4; without IPv4 it does not start', async (t) => {
  const without = (missing: string) => {
    const sockets = processDnsSockets()
    const refuse = (address: string) => {
      if (address === missing) throw new Error('EADDRNOTAVAIL')
    }
    return {
      ...sockets,
      async udp(address: string, port: number) {
        refuse(address)
        return await sockets.udp(address, port)
      },
    }
  }
  const { proxy } = await start(t, [], { sockets: without('::1') })
  t.same(
    proxy.udp.map(({ address }) => address),
    ['127.0.0.1'],
  )
  await t.rejects(start(t, [], { sockets: without('127.0.0.1') }), { message: 'EADDRNOTAVAIL' })
})
