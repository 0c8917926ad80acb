// Every hazard of HTTP/1.1 on the wire: raw bytes of a client through the waypoint's two ends to a backend that records what arrives, and
// raw answers of a backend to a client. Refused, or exactly one request with one meaning; a wrong answer is a 502 and its connection gone.
import t, { type Test } from 'tap'
import { Events, requestReader } from '../../helpers/http1-events.ts'
import {
  fateOf,
  hazardRows,
  refusalOf,
  requestTest,
  responseTest,
  sentResponses,
} from '../../helpers/http1-hazard-rows.ts'
import { type RequestHazard, requestHazards } from '../../helpers/http1-hazards.ts'
import type { ResponseHazard } from '../../helpers/http1-response-hazards.ts'
import { Http1World, type RawPeer, until } from '../../helpers/http1-world.ts'

/** Behind each input: whoever reads the input otherwise than we do takes this for something else. */
const next = 'GET /next HTTP/1.1\r\nHost: x\r\n\r\n'
const nextLine = 'GET http://x /next 1.1 [] none'
const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Answers each request that arrives whole; `lines` is all that arrived. */
function recording(world: Http1World): Events[] {
  const connections: Events[] = []
  world.backend.onConnection = (peer) => {
    const events = new Events()
    connections.push(events)
    const reader = requestReader(events)
    let seen = 0
    peer.socket.on('data', (chunk: Buffer) => {
      reader.push(chunk)
      for (; seen < events.lines.length; seen += 1) {
        const line = events.lines[seen]!
        if (line.endsWith(' expects')) peer.write('HTTP/1.1 100 Continue\r\n\r\n')
        if (line === 'end' || line.startsWith('end ')) peer.write(answer)
      }
    })
    peer.socket.on('end', () => peer.socket.end())
  }
  return connections
}

const all = (connections: readonly Events[]) => connections.flatMap((events) => [...events.done()])

/** What is meant for one connection does not go on. */
function forwarded(outcome: readonly string[]): readonly string[] {
  return outcome.map((line) =>
    line.replace(/\[(.*?)\] /, (_all, fields: string) => {
      const kept = fields.split(';').filter((field) => !/^(?:connection|upgrade|http2-settings)=/.test(field))
      return `[${kept.join(';')}] `
    }),
  )
}

const world = await new Http1World().start()
const connections = recording(world)
t.teardown(() => world.close())

async function replay(t: Test, hazard: RequestHazard): Promise<void> {
  connections.length = 0
  await dropConnections()
  const client = world.client()
  client.write(hazard.input + next)
  const refusal = refusalOf(hazard)
  if (refusal === undefined) {
    await until(() => all(connections).includes('end') && client.text.split('200 OK').length === 3, 'two answers')
    const outcome = hazard.outcome as readonly string[]
    t.same(all(connections), [...forwarded(outcome), nextLine, 'end'], 'one request, and the next')
  } else {
    await client.rest()
    t.match(client.text, new RegExp(`^HTTP/1\\.1 ${refusal.status} `), 'what the client is told')
    t.match(client.text, /\r\nconnection: close\r\n\r\n$/, 'one answer, and the end')
    await until(() => world.backend.connections.every(({ closed, ended }) => closed || ended), 'nothing is under way')
    const whole = all(connections).filter((line) => line === 'end' || line.startsWith('end '))
    t.same(whole, [], 'no request arrived whole')
    if (typeof hazard.outcome === 'string' && !/^(?:chunks|trailers)/.test(hazard.name)) {
      t.same(all(connections), [], 'nothing arrived at all')
    }
    t.equal(world.refused.at(-1)?.code, refusal.code)
  }
  client.socket.destroy()
}

/** So that each input begins with no connection. */
async function dropConnections(): Promise<void> {
  for (const { socket } of world.backend.connections) socket.destroy()
  world.backend.connections.length = 0
  await until(() => world.pool.connections === 0, 'the pool is empty')
}

for (const hazard of requestHazards) t.test(requestTest(hazard), (t) => replay(t, hazard))

function requestFor({ expected }: ResponseHazard): string {
  const upgrade =
    expected.upgrade === true ? 'Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n' : ''
  return `${expected.method} / HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`
}

async function answered(t: Test, hazard: ResponseHazard): Promise<void> {
  const world = await new Http1World().start()
  t.teardown(() => world.close())
  const client = world.client()
  client.write(requestFor(hazard))
  const backend = await world.backend.connection(0)
  await backend.read('\r\n\r\n')
  backend.write(hazard.input)
  if (hazard.end === true) backend.socket.end()
  const fate = fateOf(hazard)
  if (fate.kind === 'replaced') {
    await client.read(`HTTP/1.1 ${fate.status} `)
    await client.read('\r\n\r\n')
  } else if (fate.kind === 'broken') {
    await until(() => client.closed, 'the client hears of it')
    t.ok(client.reset, 'by a reset')
  } else if (hazard.expected.upgrade === true) {
    await client.read('\x81\x01a')
    return
  } else await wholeAnswer(t, client, hazard)
  await nextConnection(t, world, hazard, fate.kind === 'broken' ? world.client() : client, backend)
}

async function wholeAnswer(t: Test, client: RawPeer, hazard: ResponseHazard): Promise<void> {
  const status = hazard.outcome.find((line) => /^[2-5]/.test(line))!.slice(0, 3)
  const text = await client.read(`HTTP/1.1 ${status} `)
  for (const line of hazard.outcome.filter((one) => one.startsWith('informational 103'))) {
    t.match(text, /HTTP\/1\.1 103 /, line)
  }
  await client.read('\r\n\r\n')
  const body = hazard.outcome.find((line) => line.startsWith('data '))?.slice(5)
  if (body !== undefined) await client.read(body)
}

/** The next request goes where it should. */
async function nextConnection(t: Test, world: Http1World, hazard: ResponseHazard, client: RawPeer, backend: RawPeer) {
  if (hazard.reusable !== true) await until(() => backend.closed || backend.ended, 'the connection is given up')
  client.write(next)
  const expected = hazard.reusable === true ? 0 : 1
  const second = await world.backend.connection(expected)
  await second.read('GET /next HTTP/1.1\r\n')
  second.write(answer)
  await client.read('ok')
  t.equal(
    world.backend.connections.length,
    expected + 1,
    hazard.reusable === true ? 'the same connection' : 'a new one',
  )
}

for (const hazard of sentResponses) t.test(responseTest(hazard), (t) => answered(t, hazard))

t.test('the table has one row for each input', (t) => {
  t.equal(new Set(hazardRows.map(({ test }) => test)).size, hazardRows.length)
  t.equal(hazardRows.length, requestHazards.length + sentResponses.length)
  t.end()
})
