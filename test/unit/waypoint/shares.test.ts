import type { Duplex } from 'node:stream'
import t from 'tap'
import { Exchange } from '../../../waypoint/exchange.ts'
import { emptyBody } from '../../../waypoint/http/body.ts'
import { Headers } from '../../../waypoint/http/message.ts'
import { Shares } from '../../../waypoint/shares.ts'
import type { OpenConnection } from '../../../waypoint/upstream/connection.ts'
import { UpstreamPool } from '../../../waypoint/upstream/pool.ts'
import { testOrigin } from '../../helpers/http1-world.ts'
import { workload } from '../../helpers/model.ts'

t.test('one caller takes half at most, and there is always room for another', async (t) => {
  const shares = new Shares()
  let taken = 0
  while (shares.hasRoom('greedy', 100)) {
    shares.take('greedy')
    taken += 1
  }
  t.equal(taken, 51)
  t.ok(shares.hasRoom('modest', 100))
  let others = 0
  for (const caller of ['a', 'b', 'c'])
    while (shares.hasRoom(caller, 100)) {
      shares.take(caller)
      others += 1
    }
  t.ok(others > 40 && shares.total < 100, `${others}`)
  t.ok(shares.hasRoom('modest', 100), 'still')
  for (let n = 0; n < 51; n++) shares.give('greedy')
  t.equal(shares.of('greedy'), 0)
  t.ok(shares.hasRoom('greedy', 100))
  t.throws(() => shares.give('greedy'))
  const few = new Shares()
  t.ok(few.hasRoom('a', 1))
  few.take('a')
  t.notOk(few.hasRoom('b', 1), 'full is full')
})

/** Takes exchanges and never answers. */
const stuck: OpenConnection = (_stream, owner) => {
  const connection = {
    usable: true,
    active: 1,
    served: 0,
    idleHintMs: undefined,
    send: () => new Promise<never>(() => {}),
    retire: () => {},
    destroy: () => owner.onClosed(connection),
  }
  return connection
}

t.test('who leaves half of all connections to endpoints unanswered leaves the other half', async (t) => {
  const pool = new UpstreamPool({
    dial: async () => ({ destroy: () => {} }) as unknown as Duplex,
    open: { http1: stuck, http2: stuck },
    clock: () => 0,
    maxConnections: 10,
  })
  const target = { workload: workload(), address: { address: '10.0.0.1', port: 80 }, protocol: 'client' } as const
  const send = async (address: string): Promise<unknown> => {
    const origin = { ...testOrigin, address: { address, port: 1 } }
    const head = { method: 'GET', scheme: 'http', authority: 'x', path: '/', headers: new Headers() }
    const exchange = new Exchange({ origin, protocol: 'http/1.1', head, body: emptyBody, startedAt: 0 })
    return await Promise.race([
      pool.send(exchange, target).catch((error: unknown) => error),
      new Promise((resolve) => setImmediate(resolve)),
    ])
  }
  const greedy = []
  for (let n = 0; n < 8; n++) greedy.push(await send('10.0.9.1'))
  const refused = greedy.filter((answer) => answer !== undefined)
  t.ok(refused.length >= 2, `${refused.length} were refused`)
  t.match(refused, [{ kind: 'overflow', message: /connections for 10\.0\.9\.1 are in use/ }])
  for (let n = 0; n < 4; n++) t.equal(await send('10.0.9.2'), undefined, 'another caller is served')
  await pool.close(0)
})
