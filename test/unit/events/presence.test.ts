// Who is connected, and who has been away for long enough that it is told.
import t from 'tap'
import { Presence } from '../../../control/events/presence.ts'
import { nullLogger } from '../../../core/base/log.ts'

function world() {
  const state = { now: 1_000_000, connected: new Set<string>(), names: ['h1', 'h2'], fails: false }
  const told: string[] = []
  const presence = new Presence({
    hosts: async () => {
      if (state.fails) throw new Error('the store is away')
      return state.names
    },
    isConnected: (host) => state.connected.has(host),
    wentAway: (host, ms) => told.push(`${host} away ${ms}`),
    cameBack: (host, ms) => told.push(`${host} back ${ms}`),
    log: nullLogger(),
    clock: () => state.now,
  })
  const after = async (ms: number): Promise<void> => {
    state.now += ms
    await presence.look()
  }
  return { state, told, presence, after }
}

t.test('a host that reconnects soon is not told of; one that stays away is, once, and its return', async (t) => {
  const { state, told, presence, after } = world()
  state.connected.add('h1').add('h2')
  await after(0)
  state.connected.delete('h1')
  await after(1000)
  t.equal(presence.awaySince('h1'), state.now)
  t.equal(presence.awaySince('h2'), undefined)
  state.connected.add('h1')
  await after(10_000)
  t.equal(presence.awaySince('h1'), undefined)
  state.connected.delete('h1')
  await after(1000)
  await after(29_999)
  t.same(told, [])
  await after(1)
  await after(60_000)
  state.connected.add('h1')
  await after(1000)
  t.same(told, ['h1 away 30000', 'h1 back 91000'])
})

t.test(
  'a host that was never seen connected counts from the first look; one that was revoked counts no more',
  async (t) => {
    const { state, told, presence, after } = world()
    await after(0)
    const since = state.now
    state.names = ['h2']
    presence.forget('h1')
    t.equal(presence.awaySince('h1'), undefined)
    await after(30_000)
    t.equal(presence.awaySince('h2'), since)
    t.same(told, ['h2 away 30000'])
  },
)

t.test('a store that is away leaves the hosts that are known', async (t) => {
  const { state, told, after } = world()
  state.connected.add('h1').add('h2')
  await after(0)
  state.fails = true
  state.connected.delete('h2')
  await after(40_000)
  await after(40_000)
  t.same(told, ['h2 away 40000'])
})
