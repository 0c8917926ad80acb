// The cases of test/hbone-peer against our tunnel server and against node:http2, which is the proof that the cases ask for what
// the RFC says and not for what we do.
import t, { type Test } from 'tap'
import { nodePeer, ourPeer } from '../helpers/oracle-peers.ts'
import { frame, type } from '../helpers/raw-http2.ts'
import { peerCases, runCases } from '../peer/run.ts'
import { accepted, type Target } from '../peer/target.ts'
import { frameNames } from '../peer/wire.ts'

t.test('the names of the cases tell them apart', async (t) => {
  t.equal(new Set(peerCases.map(({ name }) => name)).size, peerCases.length)
})

/** What a server of tunnels has no reason to send: it neither pushes nor prioritises. */
const neverSent = ['PRIORITY', 'PUSH_PROMISE']

/** No server of tunnels needs CONTINUATION for an honest client: this one gets its own long header back. */
async function longAnswer(t: Test, target: Target): Promise<void> {
  const wire = await target.session()
  const baggage = 'b'.repeat(40_000)
  const block = wire.block([
    [':method', 'CONNECT'],
    [':authority', target.echo],
    ['baggage', baggage],
  ])
  wire.send(
    frame(type.headers, 0, 1, block.subarray(0, 30_000)),
    frame(type.continuation, 4, 1, block.subarray(30_000)),
  )
  await accepted(wire, 1)
  t.equal(new Map(wire.lists(1)[0]).get('baggage'), baggage)
  target.close()
}

t.test('our tunnel server passes every case and departs in none', async (t) => {
  const { target, close } = await ourPeer()
  const results = await runCases(target, peerCases)
  for (const { name, outcome, detail } of results) t.equal(outcome, 'passed', `${name}: ${detail ?? ''}`)
  t.same(
    [...frameNames].filter((name) => !target.coverage.sent.has(name)),
    [],
    'every frame type reached it',
  )
  await longAnswer(t, target)
  t.same(
    [...frameNames].filter((name) => !target.coverage.received.has(name)),
    neverSent,
    'and every one came from it, but for two',
  )
  await close()
})

t.test('a server of node:http2 fails no case', async (t) => {
  const { target, close } = await nodePeer()
  const results = await runCases(target, peerCases)
  for (const { name, outcome, detail } of results) {
    t.ok(outcome === 'passed' || outcome === 'allowed', `${name}: ${outcome} ${detail ?? ''}`)
  }
  t.same(
    [...frameNames].filter((name) => !target.coverage.sent.has(name)),
    [],
    'every frame type reached it',
  )
  await close()
})
