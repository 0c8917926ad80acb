// What a hostile peer, or an owner that uses the stream as a plain Duplex, must not be able to do to a session.
import { duplexPair } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { errorCode } from '../../../../core/hbone/h2/protocol.ts'
import { Http2Session } from '../../../../core/hbone/h2/session.ts'
import type { TunnelHttp2Stream } from '../../../../core/hbone/h2/stream.ts'
import { defaultLimits } from '../../../../core/hbone/limits.ts'
import { attachSlab, detachSlab, waitingSlabs } from '../../../../core/net/read-buffers.ts'
import { RawPeer } from '../../../helpers/raw-http2.ts'
import { eventually } from '../../../helpers/tunnel.ts'

async function scene(onStream: (session: Http2Session, stream: TunnelHttp2Stream) => void) {
  const [near, far] = duplexPair({ allowHalfOpen: false })
  near.on('error', () => {})
  const session = new Http2Session(near as unknown as TLSSocket, 'server', defaultLimits, {
    onSettings: () => {},
    onHeaders: (stream) => {
      session.respond(stream, [[':status', '200']])
      onStream(session, stream)
    },
    onGoaway: () => {},
    onClosed: () => {},
  })
  return { session, peer: await RawPeer.client(far) }
}

t.test('what is written as to any Duplex is not released: only its owner knows who else reads it', async (t) => {
  const slab = attachSlab()!
  slab.retain()
  const before = waitingSlabs()
  const { session, peer } = await scene((_, stream) => {
    stream.write(slab.buffer.subarray(0, 4_096))
    stream.write(slab.buffer.subarray(4_096, 8_192))
  })
  peer.send(peer.connect(1))
  await eventually('it arrives', () => peer.received.get(1) === 8_192)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(waitingSlabs(), before, 'two parts of one buffer are not two releases')
  slab.release()
  detachSlab(slab)
  session.destroy()
})

t.test('header blocks for a stream that is over are not free', async (t) => {
  const { peer } = await scene(() => {})
  peer.send(peer.connect(1), peer.connect(1))
  await eventually('the stream is reset', () => peer.resets.has(1))
  for (let batch = 0; batch < 100 && !peer.closed; batch += 1) {
    peer.send(...Array.from({ length: 100 }, () => peer.connect(1)))
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal(await peer.gone(), errorCode.enhanceYourCalm)
})
