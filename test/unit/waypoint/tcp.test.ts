// Connections that are no HTTP, without a network: how long connecting may take, and what is told of endpoints.
import { type Duplex, duplexPair } from 'node:stream'
import t from 'tap'
import { Failure } from '../../../waypoint/http/failure.ts'
import { TcpConnection, type TcpEnd } from '../../../waypoint/tcp.ts'
import type { UpstreamTarget } from '../../../waypoint/upstream/upstream.ts'
import { testOrigin } from '../../helpers/http1-world.ts'

const target = (port: number, connectTimeoutMs?: number) =>
  ({ address: { address: '10.0.0.1', port }, connectTimeoutMs }) as unknown as UpstreamTarget

function connection(targets: readonly UpstreamTarget[], dial: (port: number, signal: AbortSignal) => Promise<Duplex>) {
  const [client, near] = duplexPair()
  const told: (string | undefined)[] = []
  const opened: number[] = []
  let destroy = (): void => {}
  const end = new Promise<TcpEnd>((resolve) => {
    const made = new TcpConnection(near, Buffer.from('first'), {
      origin: testOrigin,
      pick: (_, failed) => targets[failed.length],
      dial: (_, { address }, signal) => dial(address.port, signal),
      onDialled: (failure) => told.push(failure?.kind),
      onOpened: ({ address }) => opened.push(address.port),
      onClosed: resolve,
    })
    destroy = () => made.destroy()
  })
  return { client, told, opened, end, destroy }
}

const never = (signal: AbortSignal): Promise<Duplex> =>
  new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(new Failure('connect', 'too late', { cause: signal.reason }))),
  )

// the timers of connections keep no process alive
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

t.test('an endpoint that does not answer within its time is left for another, and both are told of', async (t) => {
  const [server, far] = duplexPair()
  const all = connection([target(1, 20), target(2, 20)], (port, signal) =>
    port === 1 ? never(signal) : Promise.resolve(server),
  )
  far.resume().end('bye')
  all.client.end()
  let got = ''
  for await (const chunk of all.client) got += String(chunk)
  t.equal(got, 'bye')
  const { result } = await all.end
  t.match(result, { aToB: 5, bToA: 3 })
  t.same([all.told, all.opened], [['connect', undefined], [2]])
})

t.test('a connection that is given up while its endpoint is waited for says nothing about that one', async (t) => {
  const all = connection([target(1)], (_, signal) => never(signal))
  all.destroy()
  t.match(await all.end, { target: undefined, failure: {} })
  t.same([all.told, all.opened], [[], []])
})
