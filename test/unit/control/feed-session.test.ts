import t from 'tap'
import { FeedSession, type SessionDeps } from '../../../control/feed/session.ts'
import type { HostRecord } from '../../../control/hosts.ts'
import { DeltaLog } from '../../../control/publish/delta-log.ts'
import { encodedViews } from '../../../control/publish/encoded.ts'
import { MeshError } from '../../../core/base/errors.ts'
import { nullLogger } from '../../../core/base/log.ts'
import type { FeedConnection } from '../../../core/feed/connection.ts'
import type { AgentMessage, ControlMessage } from '../../../core/feed/messages.ts'

type Connection = FeedConnection<AgentMessage, ControlMessage>

/** A session whose publisher gets ready when the test says so: until then the first message is being dealt with. */
function world() {
  const ready = Promise.withResolvers<void>()
  const asked: string[] = []
  const sent: ControlMessage[] = []
  const deps = {
    authority: { trustDomain: 'td', bundle: 'bundle' },
    hosts: {
      get: async (host: string) => {
        asked.push(host)
        return undefined
      },
    },
    deltas: new DeltaLog('e'),
    encoded: encodedViews(new DeltaLog('e')),
    publisher: { ready: ready.promise, onVersion: () => () => undefined },
    acknowledged: () => undefined,
    feeds: () => [],
    log: nullLogger(),
  } as unknown as SessionDeps
  const record: HostRecord = { host: 'h1', identities: ['shop/*'], cidrs: [], joinedAt: 0, certificates: [] }
  let deliver: (message: AgentMessage, size: number) => void = () => undefined
  const session = new FeedSession(deps, record, Date.now() + 60_000, (onMessage) => {
    deliver = onMessage
    const connection: Pick<Connection, 'send' | 'sendEncoded' | 'close' | 'bufferedBytes'> = {
      sendEncoded: () => true,
      send: (message) => sent.push(message) > 0,
      close: () => undefined,
      bufferedBytes: 0,
    }
    return connection as Connection
  })
  t.teardown(() => session.ended())
  return { session, ready, asked, sent, deliver }
}

const hello: AgentMessage = { type: 'hello', host: 'h1', build: 'x' }
const report: AgentMessage = { type: 'workloads', workloads: [] }
const mebibyte = 1024 * 1024

t.test('what a host may have waiting is bounded in size, not only in number', async (t) => {
  const { ready, deliver } = world()
  deliver(hello, 100)
  deliver(report, 60 * mebibyte)
  t.throws(() => deliver(report, 5 * mebibyte), { code: 'LIMIT_REACHED' })
  deliver(report, 1 * mebibyte)
  ready.resolve()
})

t.test('a single large message is taken where nothing waits', async () => {
  const { ready, deliver } = world()
  deliver(hello, 100 * mebibyte)
  ready.resolve()
})

t.test('after it was refused, nothing of a host counts any more, not even what was queued before', async (t) => {
  const { session, ready, asked, sent, deliver } = world()
  deliver(hello, 100)
  deliver(report, 100)
  session.refuse(new MeshError('NODE_UNAUTHORIZED', 'revoked'))
  deliver(report, 100)
  ready.resolve()
  await session.ended()
  t.same(asked, [], 'no report was looked at')
  t.match(sent[0], { type: 'refused', code: 'NODE_UNAUTHORIZED' })
})
