// The cases of test/hbone-peer against our tunnel server and against node:http2, which is the proof that the cases ask for what
// the RFC says and not for what we do.
import t from 'tap'
import { nodePeer, ourPeer } from '../helpers/oracle-peers.ts'
import { peerCases, runCases } from '../peer/run.ts'
import { frameNames } from '../peer/wire.ts'

t.test('the names of the cases tell them apart', async (t) => {
  t.equal(new Set(peerCases.map(({ name }) => name)).size, peerCases.length)
})

/** What a server of tunnels has no reason to send: it neither pushes nor prioritises. */
const neverSent = ['PRIORITY', 'PUSH_PROMISE']

t.test('our tunnel server passes every case and departs in none', async (t) => {
  const { target, close } = await ourPeer()
  const results = await runCases(target, peerCases)
  for (const { name, outcome, detail } of results) t.equal(outcome, 'passed', `${name}: ${detail ?? ''}`)
  t.same(
    [...frameNames].filter((name) => !target.coverage.sent.has(name)),
    [],
    'every frame type reached it',
  )
  t.same(
    neverSent.filter((name) => target.coverage.received.has(name)),
    [],
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
