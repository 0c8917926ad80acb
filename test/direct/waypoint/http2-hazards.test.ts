// Hostile clients of the HTTP/2 server end, frame by frame: every row of the table, and what takes more than one breath.

import t, { type Test } from 'tap'
import { errorCode, errorName } from '../../../core/hbone/h2/protocol.ts'
import type { Exchange } from '../../../waypoint/exchange.ts'
import type { Http2ServerOptions } from '../../../waypoint/http2/server-connection.ts'
import { base, http2Hazards } from '../../helpers/http2-hazards.ts'
import { answer, readBody, type Served, serveHttp2 } from '../../helpers/http2-waypoint.ts'
import { frame, RawPeer, type, uint32 } from '../../helpers/raw-http2.ts'
import { dialTcp, eventually } from '../../helpers/tunnel.ts'

function text({ head }: Exchange): string {
  const { flat } = head.headers
  const fields = flat.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${flat[at + 1]}`] : []))
  return `${head.method} ${head.scheme}://${head.authority} ${head.path} [${fields.join(', ')}]`
}

async function scene(
  t: Test,
  options: Partial<Http2ServerOptions> = {},
): Promise<{ readonly served: Served; readonly peer: RawPeer; readonly seen: string[] }> {
  const seen: string[] = []
  const served = await serveHttp2(async (exchange) => {
    const at = seen.push(text(exchange)) - 1
    const { body, trailers, failure } = await readBody(exchange.body)
    const rest = [body.toString(), ...(trailers === undefined ? [] : [String(trailers.flat)])]
    seen[at] = `${seen[at]} ${rest.join(' ')}${failure === undefined ? '' : '…'}`.trimEnd()
    return answer(200)
  }, options)
  const peer = await RawPeer.client(await dialTcp(served.port))
  t.teardown(() => {
    peer.socket.destroy()
    served.close()
  })
  return { served, peer, seen }
}

function outcome(peer: RawPeer): string | undefined {
  if (peer.goneCode !== undefined) return `goaway ${errorName(peer.goneCode)}`
  const status = (id: number) => peer.answers.get(id)?.find(([name]) => name === ':status')?.[1]
  const reset = peer.resets.get(1)
  if (status(1) !== undefined) return status(1)
  if (status(3) !== undefined) return `${status(3)} of 3`
  return reset === undefined ? undefined : `reset ${errorName(reset)}`
}

async function gone(peer: RawPeer): Promise<number | undefined> {
  await eventually('GOAWAY', () => peer.goneCode !== undefined)
  return peer.goneCode
}

for (const hazard of http2Hazards) {
  t.test(`${hazard.name}: ${hazard.outcome}`, async (t) => {
    const { peer, seen } = await scene(t)
    peer.send(...hazard.frames(peer))
    const wanted = hazard.outcome.startsWith('goaway')
      ? () => peer.goneCode !== undefined
      : () => outcome(peer) !== undefined
    await eventually('an outcome', wanted)
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(outcome(peer), hazard.outcome)
    t.same(seen, hazard.seen === undefined ? [] : [hazard.seen])
  })
}

const post = [[':method', 'POST'], ...base.slice(1)] as const

t.test('a body that turns out shorter or longer than content-length is never ended for those behind', async (t) => {
  for (const [length, more] of [
    ['10', frame(type.data, 1, 1, 'ffff')],
    ['3', frame(type.data, 0, 1, 'ffffffff')],
    ['3', frame(type.data, 1, 1, 'ffffffff')],
    ['2', frame(type.data, 1, 1, 'ff')],
  ] as const) {
    const { peer, seen } = await scene(t)
    peer.send(
      frame(type.headers, 4, 1, peer.block([...post, ['content-length', length]])),
      frame(type.data, 0, 1, '6162'),
    )
    await eventually('it came', () => seen.length === 1)
    peer.send(more)
    await eventually('reset', () => peer.resets.has(1))
    t.equal(peer.resets.get(1), errorCode.protocolError)
    await eventually('it was told', () => seen[0]?.endsWith('…') === true)
    t.notOk(peer.answers.has(1))
  }
})

t.test('malformed trailers cut the request off', async (t) => {
  const { peer, seen } = await scene(t)
  peer.send(frame(type.headers, 4, 1, peer.block(post)), frame(type.data, 0, 1, '6162'))
  await eventually('it came', () => seen.length === 1)
  peer.send(frame(type.headers, 5, 1, peer.block([[':path', '/admin']])))
  await eventually('it was told', () => seen[0]?.endsWith('…') === true && peer.resets.has(1))
  t.equal(peer.resets.get(1), errorCode.protocolError)
})

t.test('what was refused does not disturb the next request', async (t) => {
  const { peer, served } = await scene(t)
  peer.send(
    frame(type.headers, 4, 1, peer.block([[':method', 'get'], ...base.slice(1)])),
    frame(type.data, 0, 1, 'ffff'),
  )
  await eventually('refused', () => peer.answers.has(1) && peer.resets.has(1))
  t.equal(peer.resets.get(1), errorCode.noError)
  peer.send(frame(type.data, 1, 1, 'ffff'), frame(type.headers, 5, 3, peer.block(base)))
  await eventually('answered', () => peer.answers.has(3))
  t.same(served.refused, ['method'])
})

t.test('rapid reset ends the connection before long', async (t) => {
  const { peer, served } = await scene(t, { limits: { resetBurst: 100, resetsPerSecond: 1 } })
  for (let id = 1; id < 1_000 && peer.goneCode === undefined; id += 2) {
    peer.send(frame(type.headers, 5, id, peer.block(base)), frame(type.reset, 0, id, uint32(errorCode.cancel)))
  }
  t.equal(await gone(peer), errorCode.enhanceYourCalm)
  await eventually('closed', () => served.errors.length === 1)
})

t.test('so does making us reset (CVE-2025-8671)', async (t) => {
  const { peer } = await scene(t, { limits: { resetBurst: 100, resetsPerSecond: 1 } })
  for (let id = 1; id < 1_000 && peer.goneCode === undefined; id += 2) {
    peer.send(frame(type.headers, 4, id, peer.block(post)), frame(type.window, 0, id, uint32(0)))
  }
  t.equal(await gone(peer), errorCode.enhanceYourCalm)
})

t.test('so do bodies that break their word, each of which is found out late', async (t) => {
  const { peer, seen } = await scene(t, { limits: { resetBurst: 20, resetsPerSecond: 1 } })
  for (let id = 1; id < 200 && peer.goneCode === undefined; id += 2) {
    peer.send(frame(type.headers, 4, id, peer.block([...post, ['content-length', '9']])), frame(type.data, 1, id, 'ff'))
  }
  t.equal(await gone(peer), errorCode.enhanceYourCalm)
  t.same(seen, [])
})

t.test('more streams at once than allowed are refused', async (t) => {
  const served = await serveHttp2(() => new Promise(() => {}), { limits: { serverMaxStreams: 4 } })
  const peer = await RawPeer.client(await dialTcp(served.port))
  t.teardown(() => {
    peer.socket.destroy()
    served.close()
  })
  for (let id = 1; id < 13; id += 2) peer.send(frame(type.headers, 5, id, peer.block(base)))
  await eventually('refused', () => peer.resets.size === 2)
  t.same(
    [...peer.resets],
    [
      [9, errorCode.refusedStream],
      [11, errorCode.refusedStream],
    ],
  )
})

t.test('PING and SETTINGS floods end the connection', async (t) => {
  for (const flood of [
    frame(type.ping, 0, 0, '0000000000000000'),
    frame(type.settings, 0, 0),
    frame(type.data, 0, 1),
  ]) {
    const { peer } = await scene(t)
    peer.send(frame(type.headers, 4, 1, peer.block(post)))
    for (let count = 0; count < 40 && peer.goneCode === undefined; count += 1)
      peer.send(...Array.from({ length: 200 }, () => flood))
    t.equal(await gone(peer), errorCode.enhanceYourCalm)
  }
})

t.test('a client that says nothing is closed', async (t) => {
  const served = await serveHttp2(async () => answer(200), { limits: { handshakeTimeoutMs: 30 } })
  t.teardown(() => served.close())
  const peer = new RawPeer(await dialTcp(served.port))
  await eventually('closed', () => served.errors.length === 1)
  peer.socket.destroy()
})
