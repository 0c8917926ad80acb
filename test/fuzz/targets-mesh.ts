// Fuzz targets beside HTTP/2: what a CONNECT carries, DNS, the ClientHello of TLS, identities, the handoff between agent and daemon.

import type { Socket } from 'node:net'
import { Duplex, duplexPair } from 'node:stream'
import tls from 'node:tls'
import { decode, encode } from 'dns-packet'
import fc from 'fast-check'
import { MeshError } from '../../core/base/errors.ts'
import { LineSplitter } from '../../core/feed/codec.ts'
import {
  parseAgentMessage,
  parseControlMessage,
  parseHandoffToAgent,
  parseHandoffToDaemon,
} from '../../core/feed/parse.ts'
import { formatForwarded, forwardedFor, forwardedHost } from '../../core/hbone/forwarded.ts'
import { checkFields, isSendable } from '../../core/hbone/h2/message.ts'
import { readRequest } from '../../core/hbone/headers.ts'
import { formatBaggage } from '../../core/hbone/tunnel-headers.ts'
import { formatIdentity, parseIdentity } from '../../core/identity/spiffe.ts'
import { serverTls } from '../../core/identity/tls.ts'
import { canonicalAddress, formatSocketAddress, parseSocketAddress } from '../../core/net/address.ts'
import { answer } from '../../daemon/dns/answer.ts'
import { FrameReader } from '../../daemon/dns/frames.ts'
import { encodeAnswer } from '../../daemon/dns/response.ts'
import { readQuery, readQuestion, sameQuestion, udpLimit } from '../../daemon/dns/wire.ts'
import { meshSettings, service, snapshotOf, workload } from '../helpers/model.ts'
import { mutated, mutations, pieces, sizes } from './bytes.ts'
import { headerList } from './conversation.ts'
import { demand, fuzzTarget } from './target.ts'

/** Whether `parse` took it; anything but the MeshError that it promises is a fault. */
function takes(parse: () => unknown, code: MeshError['code']): boolean {
  try {
    parse()
    return true
  } catch (error: unknown) {
    if (!(error instanceof MeshError) || error.code !== code) throw error
    return false
  }
}

const almostAddress = fc.oneof(
  fc
    .tuple(
      fc.oneof(
        fc.ipV4(),
        fc.ipV6().map((text) => `[${text}]`),
      ),
      fc.nat(70_000),
    )
    .map((parts) => parts.join(':')),
  fc.stringMatching(/^[0-9a-fx:.[\]%@ -]{0,45}$/),
  fc.string(),
)

const authority = fuzzTarget(
  'authority',
  fc.asyncProperty(almostAddress, async (text) => {
    const parsed = parseSocketAddress(text)
    if (parsed === undefined) return
    const written = formatSocketAddress(parsed)
    demand(JSON.stringify(parseSocketAddress(written)) === JSON.stringify(parsed), `${text} became ${written}`)
  }),
)

const host = fc.stringMatching(/^[a-zA-Z0-9.-]{1,60}$/)
const forwarded = fc.oneof(
  fc.tuple(fc.constantFrom('for=x', 'for="[::1]:1"', ''), host).map(([by, name]) => `${by};host=${name}`),
  fc.stringMatching(/^(?:[;=" ]|host|for|a|\.|-){0,300}$/),
  fc.string({ maxLength: 2_000 }),
)

const metadata = fuzzTarget(
  'metadata',
  fc.asyncProperty(forwarded, headerList, fc.string(), fc.string(), async (text, fields, name, locality) => {
    const found = forwardedHost(text)
    demand(found === undefined || /^[a-z0-9.-]{1,253}$/.test(found), `host ${found}`)
    const caller = forwardedFor(text)
    demand(caller === undefined || canonicalAddress(caller.address) === caller.address, `for ${caller?.address}`)
    const request = checkFields(fields, 'request') === undefined ? readRequest(fields) : undefined
    demand(request === undefined || request.authority !== '', 'a CONNECT to nowhere')
    const source = workload({ name: name.toWellFormed(), locality: locality.toWellFormed() })
    demand(isSendable(formatBaggage(source, meshSettings)), 'baggage that cannot be sent')
  }),
)

const forwardedTrip = fuzzTarget(
  'forwarded-round-trip',
  fc.asyncProperty(fc.ipV6(), fc.nat(65_535), host, async (address, port, name) => {
    const parsed = parseSocketAddress(`[${address}]:${port}`)
    if (parsed !== undefined) demand(forwardedHost(formatForwarded(parsed, name)) === name.toLowerCase(), name)
  }),
)

const identity = fuzzTarget(
  'identity',
  fc.asyncProperty(
    fc.oneof(fc.string(), fc.stringMatching(/^spiffe:\/\/[a-z.]{0,9}\/ns\/[a-z.-]{0,9}\/sa\/[a-z./%-]{0,9}$/)),
    async (text) => {
      if (!takes(() => parseIdentity(text), 'IDENTITY_INVALID')) return
      demand(formatIdentity(parseIdentity(text)) === text, 'another identity than it says')
    },
  ),
)

const snapshot = snapshotOf(
  service(),
  service({ name: 'peers', headless: true, vips: [] }),
  ...Array.from({ length: 60 }, (_, at) =>
    workload({
      name: `peer-${at}`,
      addresses: [`10.0.1.${at}`, `2001:db8::1${at}`],
      services: [{ service: 'shop/peers.shop.svc.cluster.local', ports: { 80: 8080 } }],
    }),
  ),
)

const names = fc.constantFrom(
  'orders.shop',
  'peers',
  'peer-3.peers.shop.svc.cluster.local',
  'example.com',
  'x.svc.cluster.local',
)
const query = fc
  .record({
    id: fc.nat(65_535),
    name: names,
    type: fc.constantFrom('A' as const, 'AAAA' as const, 'SRV' as const, 'PTR' as const, 'MX' as const),
    udpBytes: fc.option(fc.nat(65_535), { nil: undefined }),
  })
  .map(({ id, name, type, udpBytes }) => {
    const extra = { flag_do: false, flags: 0, extendedRcode: 0, ednsVersion: 0, options: [] }
    const opt = { type: 'OPT' as const, name: '.', udpPayloadSize: udpBytes ?? 0, ...extra }
    const additionals = udpBytes === undefined ? [] : [opt]
    return encode({ type: 'query', id, flags: 0x100, questions: [{ type, name, class: 'IN' }], additionals })
  })

const dns = fuzzTarget(
  'dns',
  fc.asyncProperty(query, mutations, fc.boolean(), async (good, changes, overTcp) => {
    const read = readQuery(mutated(good, changes))
    if (read.kind !== 'query') return
    const { question, id } = read.query
    const decision = answer(snapshot, { namespace: 'shop' }, question, () => 0.5)
    if (decision.kind === 'forward') return
    const limit = overTcp ? 65_535 : udpLimit(read.query)
    const bytes = encodeAnswer(read.query, decision, limit)
    demand(bytes.length <= limit, `an answer of ${bytes.length} bytes, ${limit} allowed`)
    demand(bytes.readUInt16BE(0) === id && sameQuestion(question, readQuestion(bytes)), 'an answer to something else')
    decode(bytes)
  }),
)

const dnsFrames = fuzzTarget(
  'dns-frames',
  fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), sizes, async (bytes, cuts) => {
    const whole = new FrameReader().push(Buffer.from(bytes))
    const reader = new FrameReader()
    const cut = pieces(Buffer.from(bytes), cuts).flatMap((piece) => reader.push(piece))
    demand(
      Buffer.concat([...whole]).equals(Buffer.concat([...cut])) && whole.length === cut.length,
      'pieces make a difference',
    )
  }),
)

const json = fc.oneof(
  fc.json().map((text): unknown => JSON.parse(text)),
  fc.record(
    {
      type: fc.constantFrom(
        'state',
        'delta',
        'bundle',
        'workload-add',
        'certificate',
        'ack',
        'csr',
        'hello',
        '__proto__',
      ),
      seq: fc.oneof(fc.integer(), fc.jsonValue()),
      id: fc.oneof(fc.integer(), fc.jsonValue()),
      delta: fc.jsonValue(),
      bundle: fc.oneof(fc.string(), fc.jsonValue()),
      workloads: fc.jsonValue(),
      failed: fc.jsonValue(),
    },
    { requiredKeys: ['type'] },
  ),
)

const messages = fuzzTarget(
  'messages',
  fc.asyncProperty(json, fc.uint8Array({ maxLength: 300 }), sizes, async (value, bytes, cuts) => {
    for (const parse of [parseAgentMessage, parseControlMessage, parseHandoffToDaemon, parseHandoffToAgent]) {
      takes(() => parse(value), 'FEED_PROTOCOL')
    }
    const lines = (parts: readonly Buffer[]): string | undefined => {
      const splitter = new LineSplitter(100)
      const found: string[] = []
      const taken = takes(() => {
        for (const part of parts) for (const line of splitter.push(part)) found.push(Buffer.from(line).toString('hex'))
      }, 'FEED_PROTOCOL')
      return taken ? found.join(' ') : undefined
    }
    const text = Buffer.from(bytes.map((byte) => (byte % 16 === 0 ? 10 : byte)))
    demand(lines([text]) === lines(pieces(text, cuts)), 'the pieces make a difference')
  }),
)

/** The first bytes that a client with this server name says. */
function clientHello(serverName: string | undefined): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, callback) {
        resolve(Buffer.from(chunk))
        callback()
        setImmediate(() => wire.destroy())
      },
    })
    const name = serverName === undefined ? {} : { servername: serverName }
    tls.connect({ socket: wire, ALPNProtocols: ['h2'], ...name }).on('error', () => {})
  })
}

const known = 'orders.shop.cluster.local'
const hellos = Promise.all([clientHello(known), clientHello('other.shop.cluster.local'), clientHello(undefined)])

/** Nothing escapes, and no other name than the one that was asked for reaches the certificate. */
const hello = fuzzTarget(
  'client-hello',
  fc.asyncProperty(fc.nat(2), mutations, sizes, async (which, changes, cuts) => {
    const [near, far] = duplexPair()
    const asked: (string | undefined)[] = []
    const server = serverTls(far as unknown as Socket, (name) => {
      asked.push(name)
      if (name !== undefined && name !== known) throw new Error('unknown')
      return undefined
    })
    server.on('error', () => {})
    near.on('error', () => {}).resume()
    const bytes = mutated((await hellos)[which]!, changes)
    for (const piece of pieces(
      bytes,
      cuts.map((size) => size * 10),
    ))
      near.write(piece)
    for (let turn = 0; turn < 6; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    demand(asked.length <= 2, `asked for ${asked.join(', ')}`)
    demand(!server.authorized && server.getPeerX509Certificate() === undefined, 'somebody got in')
    near.destroy()
    server.destroy()
    far.destroy()
  }),
  true,
)

export const meshTargets = [authority, metadata, forwardedTrip, identity, dns, dnsFrames, messages, hello]
