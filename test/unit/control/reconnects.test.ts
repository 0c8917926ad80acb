import t from 'tap'
import { Reconnects } from '../../../control/feed/reconnects.ts'

t.test('a host that connects in a loop gets one turn in a second, others are not affected', async (t) => {
  const reconnects = new Reconnects()
  const admitted = (host: string, from: number, count: number, everyMs: number) =>
    Array.from({ length: count }, (_, index) => reconnects.admit(host, from + index * everyMs)).filter(Boolean).length
  t.equal(admitted('loops', 0, 10, 0), 10, 'a few failures in a row are no loop')
  const turns = admitted('loops', 0, 1000, 10)
  t.ok(turns >= 18 && turns <= 22, `${turns} of 1000 in ten seconds`)
  t.ok(reconnects.admit('other', 10_000))
  t.equal(admitted('loops', 100_000, 20, 0), 20, 'after a quiet time it starts afresh')
  t.notOk(reconnects.admit('loops', 100_000))
})

t.test('hosts that have been quiet are forgotten, those that loop are not', async (t) => {
  const reconnects = new Reconnects()
  for (let index = 0; index < 30; index++) reconnects.admit('loops', 60_000)
  for (let index = 0; index < 5000; index++) reconnects.admit(`h${index}`, 0)
  t.notOk(reconnects.admit('loops', 60_000))
})
