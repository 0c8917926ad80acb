// Which certificates are remembered, and for how long.
import t from 'tap'
import { certificateTable } from '../../../cli/commands/certs.ts'
import { IssuedCertificates } from '../../../control/issued.ts'
import { nullLogger } from '../../../core/base/log.ts'

const day = 24 * 60 * 60 * 1000

function world() {
  const kept = new Map<string, unknown>()
  const state = { now: 0, away: false }
  const records = {
    put: async (_: string, key: string, value: unknown) => {
      if (state.away) throw new Error('the store is away')
      kept.set(key, value)
    },
    list: async () => [...kept].map(([key, value]) => ({ key, value })),
    delete: async (_: string, key: string) => {
      kept.delete(key)
    },
  }
  const issued = new IssuedCertificates({ records, log: nullLogger(), clock: () => state.now })
  return { state, kept, issued }
}

t.test('the last certificate of each identity on each host is listed, as long as its host is one', async (t) => {
  const { issued, kept } = world()
  issued.note('h1', 'a', { serial: '0A', notBefore: 0, notAfter: day })
  issued.note('h1', 'a', { serial: '0B', notBefore: 1, notAfter: day })
  issued.note('h2', 'a', { serial: 'c', notBefore: 2, notAfter: day })
  await issued.close()
  t.same(await issued.list(new Set(['h1'])), [
    {
      host: 'h1',
      identity: 'a',
      serial: 'b',
      notBefore: '1970-01-01T00:00:00.001Z',
      notAfter: '1970-01-02T00:00:00.000Z',
    },
  ])
  await issued.close()
  t.equal(kept.size, 1)
})

t.test('an expired one is shown for a day; a store that is away keeps nobody from signing', async (t) => {
  const { issued, state } = world()
  issued.note('h1', 'a', { serial: '1', notBefore: 0, notAfter: 1000 })
  await issued.close()
  state.away = true
  issued.note('h1', 'b', { serial: '2', notBefore: 0, notAfter: 1000 })
  await issued.close()
  state.now = day
  t.equal((await issued.list(new Set(['h1']))).length, 1)
  state.now = day + 1000
  t.same(await issued.list(new Set(['h1'])), [])
})

t.test('certificates that ended, or are about to, stand out', async (t) => {
  const painted = (colour: string, text: string): string => `<${colour}>${text}`
  const one = (notAfter: number) => ({
    ...{ host: 'h1', identity: 'a', serial: '0123456789abcdef' },
    notBefore: new Date(0).toISOString(),
    notAfter: new Date(notAfter).toISOString(),
  })
  const text = certificateTable([one(day), one(2 * day), one(10 * day)], false, painted, 2 * day - 60_000)
  t.match(text, /^HOST +IDENTITY +SERIAL +EXPIRES$/m)
  t.match(text, /^h1 +a +0123456789ab +<red>expired 23h ago\n.* +<yellow>60s left\n.* +8d left\n$/m)
})
