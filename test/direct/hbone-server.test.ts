// Who may open a tunnel and who may not, over real sockets; and that no garbage ends the process.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import t from 'tap'
import { parseIdentity } from '../../core/identity/spiffe.ts'
import { createCredentials } from '../../core/identity/tls.ts'
import { FakeCa, type LeafOptions } from '../helpers/fake-ca.ts'
import { Bench, clientIdentity, echo, eventually, readAll } from '../helpers/tunnel.ts'

/** An HTTP/2 client of Node over a TLS connection with any credentials, for requests that the pool never makes. */
async function rawSession(bench: Bench, context: tls.SecureContext, options: tls.ConnectionOptions = {}) {
  const socket = await bench.tls(context, options)
  const session = http2.connect('https://tunnel', { createConnection: () => socket })
  session.on('error', () => {})
  return { socket, session }
}

/** The status of a CONNECT, or undefined where no answer came. */
async function statusOf(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders): Promise<unknown> {
  if (session.destroyed) return undefined
  const request = session.request(headers, { endStream: false })
  request.on('error', () => {})
  const answer = Promise.withResolvers<unknown>()
  request.once('response', (received) => answer.resolve(received[':status']))
  request.once('close', () => answer.resolve(undefined))
  const status = await answer.promise
  request.destroy()
  return status
}

const connectRequest = { ':method': 'CONNECT', ':authority': '10.0.0.1:80' }

/** Tries a CONNECT with a client certificate and tells what happened. */
async function attempt(bench: Bench, context: tls.SecureContext, options: tls.ConnectionOptions = {}) {
  const socket = await bench.tls(context, options)
  if (socket.destroyed) return undefined
  const session = http2.connect('https://tunnel', { createConnection: () => socket })
  session.on('error', () => {})
  const status = await statusOf(session, connectRequest)
  session.destroy()
  return status
}

t.test('a peer with a good certificate is served under its identity and address', async (t) => {
  const bench = await Bench.create({
    onConnect: (connect) => {
      t.same(connect.peer.identity, parseIdentity(clientIdentity))
      t.equal(connect.peer.address.address, '127.0.0.1')
      t.equal(connect.local.port, bench.port)
      t.equal(connect.authority, '[2001:db8::1]:443')
      t.same(connect.headers, { baggage: 'a=b', forwarded: 'for="1.2.3.4:5"', traceparent: '00-1-2-00' })
      connect.accept({ baggage: 'c=d' }).end('hello')
    },
  })
  const headers = { baggage: 'a=b', forwarded: 'for="1.2.3.4:5"', traceparent: '00-1-2-00' }
  const request = { authority: '[2001:db8::1]:443', headers }
  const { stream, responseHeaders } = await bench.pool.connect(bench.key(), request, AbortSignal.timeout(5_000))
  t.same(responseHeaders, { baggage: 'c=d' })
  t.equal((await readAll(stream)).toString(), 'hello')
  await bench.close()
})

const host = 'spiffe://cluster.local/culvert/host/h1'
const refusals: readonly { name: string; identity?: string; leaf?: LeafOptions; message: RegExp }[] = [
  {
    name: 'of another trust domain',
    identity: 'spiffe://evil.local/ns/shop/sa/frontend',
    message: /not of trust domain cluster\.local/,
  },
  {
    name: 'that expired',
    leaf: { notBefore: Date.now() - 7_200_000, notAfter: Date.now() - 60_000 },
    message: /expired/,
  },
  { name: 'that is not valid yet', leaf: { notBefore: Date.now() + 3_600_000 }, message: /not yet valid/ },
  { name: 'for servers only', leaf: { usages: ['server'] }, message: /purpose/ },
  { name: 'without a usage', leaf: { usages: [] }, message: /lacks clientAuth/ },
  { name: 'of a host', identity: host, message: /culvert\/host\/h1/ },
  { name: 'with two identities', leaf: { uris: [clientIdentity, `${clientIdentity}2`] }, message: /exactly one URI/ },
  { name: 'without an identity', leaf: { uris: [], dns: ['frontend'] }, message: /exactly one URI/ },
  { name: 'with a malformed identity', identity: 'spiffe://cluster.local/ns/shop', message: /is not spiffe/ },
  {
    name: 'with a name that hides another',
    leaf: { dns: ['a, URI:spiffe://cluster.local/ns/shop/sa/admin, b'] },
    message: /exactly one URI/,
  },
]

t.test('a certificate is refused, and the error says what was presented', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  for (const { name, identity = clientIdentity, leaf, message } of refusals) {
    const credentials = createCredentials(await bench.ca.leaf(identity, leaf))
    const before = bench.errors.length
    t.equal(await attempt(bench, credentials.context), undefined, name)
    await eventually('the server reports it', () => bench.errors.length > before)
    t.match(bench.errors.at(-1)?.error.message, message, name)
  }
  t.equal(await attempt(bench, bench.clientCredentials.context), 200, 'the server still serves others')
  await bench.close()
})

t.test('a certificate of another authority is refused', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const other = await (await FakeCa.create()).leaf(clientIdentity)
  const mixed = createCredentials({ ...other, bundlePem: bench.ca.bundlePem })
  t.equal(await attempt(bench, mixed.context), undefined)
  t.match(bench.errors, [{ error: { code: 'IDENTITY_INVALID' } }])
  await bench.close()
})

t.test('a peer without a certificate is refused', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const context = tls.createSecureContext({ ca: bench.ca.bundlePem })
  t.equal(await attempt(bench, context), undefined)
  await eventually('the server reports it', () => bench.errors.length > 0)
  t.match(bench.errors, [{ error: { code: 'TUNNEL_HANDSHAKE', message: /certificate/ } }])
  await bench.close()
})

t.test('an unknown server name is refused and gets no certificate; a known one and none are served', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const { context } = bench.clientCredentials
  t.equal(await attempt(bench, context, { servername: 'orders.shop.cluster.local' }), 200)
  t.equal(await attempt(bench, context), 200)
  const socket = await bench.tls(context, { servername: 'other.shop.cluster.local' })
  t.ok(socket.destroyed, 'the handshake did not complete')
  t.equal(socket.getPeerX509Certificate(), undefined)
  await eventually('the server reports it', () => bench.errors.length > 0)
  t.match(bench.errors, [{ error: { message: /other\.shop\.cluster\.local/ } }])
  await bench.close()
})

t.test('a context callback that throws or knows nobody refuses and harms nobody', async (t) => {
  const contexts = [
    () => {
      throw new Error('boom')
    },
    () => undefined,
  ]
  for (const callback of contexts) {
    const bench = await Bench.create({ onConnect: echo, server: { contexts: callback } })
    const { context } = bench.clientCredentials
    t.equal(await attempt(bench, context), undefined)
    t.equal(await attempt(bench, context, { servername: 'x.example' }), undefined)
    await eventually('sessions are gone', () => bench.tunnels.sessions === 0)
    await bench.close()
  }
})

t.test('a TLS session stolen from another client is not resumed', async (t) => {
  const seen: string[] = []
  const bench = await Bench.create({
    onConnect: (connect) => {
      seen.push(connect.peer.identity.serviceAccount)
      echo(connect)
    },
  })
  // An attacker's TLS takes tickets; only the server can refuse to give them.
  const context = async (account: string) => {
    const leaf = await bench.ca.leaf(`spiffe://cluster.local/ns/shop/sa/${account}`)
    return tls.createSecureContext({ key: leaf.keyPem, cert: leaf.chainPem, ca: leaf.bundlePem })
  }
  const victim = await bench.tls(await context('victim'))
  let stolen: Buffer | undefined
  victim.on('session', (session) => {
    stolen = session
  })
  const victimSession = http2.connect('https://tunnel', { createConnection: () => victim })
  t.equal(await statusOf(victimSession, connectRequest), 200)
  stolen ??= victim.getSession()
  if (stolen === undefined) throw new Error('there is nothing to steal')
  const thief = await rawSession(bench, await context('thief'), { session: stolen })
  t.equal(await statusOf(thief.session, connectRequest), 200)
  t.notOk(thief.socket.isSessionReused(), 'a full handshake')
  t.same(seen, ['victim', 'thief'], 'the server sees the certificate of this connection')
  const nobody = tls.createSecureContext({ ca: bench.ca.bundlePem })
  t.equal(await attempt(bench, nobody, { session: stolen }), undefined, 'a session does not stand in for a certificate')
  victimSession.destroy()
  thief.session.destroy()
  await bench.close()
})

t.test('a client that does not ask for h2 or offers TLS 1.2 is refused', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const leaf = await bench.ca.leaf(clientIdentity)
  const { context } = bench.clientCredentials
  t.equal(await attempt(bench, context, { ALPNProtocols: [] }), undefined)
  t.equal(await attempt(bench, context, { ALPNProtocols: ['http/1.1'] }), undefined)
  const old = tls.createSecureContext({
    key: leaf.keyPem,
    cert: leaf.chainPem,
    ca: leaf.bundlePem,
    maxVersion: 'TLSv1.2',
  })
  t.equal(await attempt(bench, old), undefined)
  await bench.close()
})

t.test('anything but a plain CONNECT is answered with 400 or reset', async (t) => {
  const bench = await Bench.create({ onConnect: () => t.fail('must not reach the owner') })
  const { session } = await rawSession(bench, bench.clientCredentials.context)
  t.equal(await statusOf(session, { ':method': 'GET', ':path': '/', ':authority': 'a:1' }), 400)
  t.equal(await statusOf(session, { ':method': 'POST', ':path': '/', ':authority': 'a:1' }), 400)
  session.destroy()
  await bench.close()
})

t.test('every refusal of the owner reaches the client as its status', async (t) => {
  const bench = await Bench.create({
    onConnect: (connect) => connect.reject(Number(connect.authority.split(':')[1]) as 400 | 401 | 503),
  })
  const codes = { 400: 'TUNNEL_BAD_REQUEST', 401: 'TUNNEL_DENIED', 503: 'TUNNEL_UNAVAILABLE' }
  for (const [status, code] of Object.entries(codes)) {
    await t.rejects(bench.connect({}, AbortSignal.timeout(5_000), `10.0.0.1:${status}`), { code })
  }
  t.equal(bench.dials, 1, 'an answer, whatever it says, is no reason for another session')
  await bench.close()
})

t.test('an owner that throws costs one stream, not the session', async (t) => {
  const bench = await Bench.create({
    onConnect: (connect) => {
      if (connect.authority === 'boom:1') throw new Error('boom')
      echo(connect)
    },
  })
  await t.rejects(bench.connect({}, AbortSignal.timeout(5_000), 'boom:1'), { code: 'TUNNEL_UNAVAILABLE' })
  const { stream } = await bench.connect()
  stream.end('x')
  t.equal((await readAll(stream)).toString(), 'x')
  t.equal(bench.dials, 1)
  await bench.close()
})

t.test('a client that gives up before the answer aborts the signal of its CONNECT', async (t) => {
  const aborted = Promise.withResolvers<void>()
  const bench = await Bench.create({
    onConnect: (connect) => {
      connect.signal.addEventListener('abort', () => {
        // Answering then is harmless.
        connect.accept().destroy()
        aborted.resolve()
      })
    },
  })
  const abort = new AbortController()
  const opening = bench.connect({}, abort.signal)
  await eventually('connected', () => bench.pool.sessions === 1)
  abort.abort()
  await t.rejects(opening, { code: 'ABORTED' })
  await aborted.promise
  await bench.close()
})

t.test('garbage on the listener closes that connection, is reported, and nothing else happens', async (t) => {
  const bench = await Bench.create({ onConnect: echo, serverLimits: { handshakeTimeoutMs: 400 } })
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
  const inputs: readonly [string, Buffer][] = [
    ['random bytes', randomBytes(4096)],
    ['plain HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
    ['plain HTTP/2', Buffer.from(`${preface}\0\0\0\x04\0\0\0\0\0`, 'latin1')],
    ['a TLS hello cut in the middle', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])],
    ['nothing', Buffer.alloc(0)],
  ]
  for (const [name, input] of inputs) {
    const before = bench.errors.length
    const socket = await bench.raw()
    socket.allowHalfOpen = false
    if (input.length > 0) socket.write(input)
    socket.resume()
    await once(socket, 'close')
    await eventually('reported', () => bench.errors.length === before + 1)
    t.match(bench.errors.at(-1)?.error.code, /TUNNEL_(HANDSHAKE|TIMEOUT)/, name)
  }
  for (let round = 0; round < 50; round += 1) {
    const socket = await bench.raw()
    socket.allowHalfOpen = false
    socket.resume()
    socket.write(randomBytes(1 + Math.floor(Math.random() * 600)))
    if (round % 3 === 0) socket.resetAndDestroy()
    else await once(socket.end(), 'close')
  }
  await eventually('no session is left', () => bench.tunnels.sessions === 0)
  t.equal(await attempt(bench, bench.clientCredentials.context), 200)
  await bench.close()
})

t.test('garbage inside TLS closes that connection', async (t) => {
  const bench = await Bench.create({ onConnect: echo, serverLimits: { handshakeTimeoutMs: 400 } })
  const { context } = bench.clientCredentials
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])
  const inputs: readonly [string, Buffer][] = [
    ['HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
    ['random bytes', randomBytes(4096)],
    ['silence', Buffer.alloc(0)],
    ['preface without settings', preface],
    ['random bytes after the preface', Buffer.concat([preface, randomBytes(4096)])],
    ['random bytes after the settings', Buffer.concat([preface, settings, randomBytes(4096)])],
    [
      'a frame larger than allowed',
      Buffer.concat([preface, settings, Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])]),
    ],
  ]
  for (const [name, input] of inputs) {
    const socket = await bench.tls(context)
    socket.resume()
    if (input.length > 0) socket.write(input)
    await once(socket, 'close')
    t.pass(name)
  }
  const broken = await bench.tls(context)
  const under = [...bench.accepted].at(-1)
  t.ok(under)
  http2.connect('https://tunnel', { createConnection: () => broken }).on('error', () => {})
  await eventually('the session is open', () => bench.tunnels.sessions === 1)
  // Bytes that are no TLS record, under an established session.
  const raw: unknown = Reflect.get(broken, '_parent')
  if (raw instanceof net.Socket) Reflect.get(raw, '_handle').writeBuffer?.({ oncomplete() {} }, randomBytes(2048))
  await eventually('the broken session is gone', () => bench.tunnels.sessions === 0)
  t.equal(await attempt(bench, context), 200)
  await bench.close()
})

t.test('a flood of resets ends the session of the flooder', async (t) => {
  const bench = await Bench.create({ onConnect: echo, serverLimits: { resetBurst: 50, resetsPerSecond: 1 } })
  const { session } = await rawSession(bench, bench.clientCredentials.context)
  await once(session, 'remoteSettings')
  let closed = false
  session.on('close', () => {
    closed = true
  })
  for (let count = 0; count < 60 && !closed; count += 1) await statusOf(session, connectRequest)
  await eventually('the server ends it', () => closed || session.destroyed)
  t.equal(await attempt(bench, bench.clientCredentials.context), 200)
  await bench.close()
})

t.test('when a certificate ends, the server asks for a new session and established streams live on', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  bench.clientCredentials = createCredentials(
    await bench.ca.leaf(clientIdentity, { notBefore: Date.now() - 5_000, notAfter: Date.now() + 2_000 }),
  )
  const { session } = await rawSession(bench, bench.clientCredentials.context)
  const request = session.request(connectRequest, { endStream: false })
  await once(request, 'response')
  const [code] = await once(session, 'goaway')
  t.equal(code, 0)
  request.end('still here')
  t.equal((await readAll(request)).toString(), 'still here')
  await bench.close()
})

t.test('a client that answers no PING is cut, one that answers is not', async (t) => {
  const bench = await Bench.create({ onConnect: echo, serverLimits: { pingIntervalMs: 30, pingTimeoutMs: 150 } })
  const live = await bench.connect()
  const { socket, session } = await rawSession(bench, bench.clientCredentials.context)
  await once(session, 'remoteSettings')
  await eventually('two sessions', () => bench.tunnels.sessions === 2)
  // A peer whose process stands still: nothing is read any more.
  Reflect.get(socket, '_handle').readStop()
  await eventually('the silent one is cut', () => bench.tunnels.sessions === 1)
  t.match(bench.errors, [{ error: { code: 'TUNNEL_TIMEOUT' } }])
  live.stream.end('alive')
  t.equal((await readAll(live.stream)).toString(), 'alive')
  session.destroy()
  await bench.close()
})
