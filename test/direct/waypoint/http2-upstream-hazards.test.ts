// Endpoints that break HTTP/2: each answer fails as malformed, nobody takes a part for the whole, and the connection is not used again.
import t from 'tap'
import { Failure } from '../../../waypoint/http/failure.ts'
import { brokenAnswers, type Http2AnswerHazard, soundAnswers } from '../../helpers/http2-answer-hazards.ts'
import { connectHttp2, exchangeOf, readBody } from '../../helpers/http2-waypoint.ts'
import { RawPeer } from '../../helpers/raw-http2.ts'
import { eventually, listen } from '../../helpers/tunnel.ts'

async function run({
  frames,
  method = 'GET',
}: Http2AnswerHazard): Promise<{ readonly outcome: string; readonly usable: boolean; readonly gone: boolean }> {
  let peer: RawPeer | undefined
  const { server, port } = await listen((socket) => {
    peer = RawPeer.server(socket)
    socket.on('end', () => socket.end())
  })
  const { connection, events } = await connectHttp2(port)
  const sent = connection.send(exchangeOf(method, '/'))
  const settled = sent.then(
    async ({ head, body }) => {
      const read = await readBody(body)
      // How much of a part came before it broke off is a matter of luck.
      if (read.failure !== undefined) return `${head.status} … ${read.failure.kind}`
      const declared = body.declared === undefined ? '' : `declared ${body.declared}`
      const trailers = read.trailers === undefined ? '' : ` ${read.trailers.flat}`
      return `${head.status} ${read.body}${declared}${trailers}`.trimEnd()
    },
    (error: unknown) => (error instanceof Failure ? error.kind : String(error)),
  )
  await eventually('the request', () => peer?.answers.has(1) === true)
  peer?.send(...frames(peer))
  const outcome = await settled
  const { usable } = connection
  if (!usable) await eventually('gone', () => events.includes('closed'))
  const gone = events.includes('closed')
  connection.destroy()
  peer?.socket.destroy()
  server.close()
  return { outcome, usable, gone }
}

for (const row of brokenAnswers) {
  t.test(`${row.name}: ${row.outcome}, and the connection goes`, async (t) => {
    t.same(await run(row), { outcome: row.outcome, usable: false, gone: true })
  })
}

for (const row of soundAnswers) {
  t.test(`${row.name}: ${row.outcome}, and the connection stays`, async (t) => {
    t.same(await run(row), { outcome: row.outcome, usable: true, gone: false })
  })
}
