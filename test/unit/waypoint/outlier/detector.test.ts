// Who is ejected, for how long, when not, and that the table and telemetry hear of it.
import fc from 'fast-check'
import t from 'tap'
import {
  OutlierDetector,
  type OutlierEvent,
  type OutlierOptions,
  type OutlierOutcome,
  outlierDefaults,
} from '../../../../waypoint/outlier/detector.ts'
import { many, world } from '../../../helpers/balanced.ts'

function scene(count: number, options: Partial<OutlierOptions> = {}) {
  const made = world(many(count))
  const events: OutlierEvent[] = []
  const detector = new OutlierDetector({ ...outlierDefaults, ...options }, made.table, {
    clock: made.clock,
    onEvent: (event) => events.push(event),
  })
  const answers = (key: string, ...statuses: readonly number[]) => {
    for (const status of statuses) detector.observe(key, { kind: 'response', status })
  }
  const fails = (key: string, kind: Exclude<OutlierOutcome['kind'], 'response'>, times: number) => {
    for (let time = 0; time < times; time += 1) detector.observe(key, { kind })
  }
  const ejected = () => made.table.members.filter((each) => each.ejected).map(({ key }) => key)
  return { ...made, detector, events, answers, fails, ejected }
}
const five = (status: number) => [status, status, status, status, status] as const

t.test('five 5xx in a row eject, four do not, and a success between begins anew', (t) => {
  const { answers, ejected, events } = scene(3)
  answers('e0', 500, 501, 503, 599, 200, 500, 500, 500, 500)
  answers('e1', ...five(404), ...five(429))
  t.same(ejected(), [])
  answers('e0', 500)
  t.same(ejected(), ['e0'])
  t.same(events, [{ kind: 'ejected', key: 'e0', reason: 'consecutive-5xx', forMs: 30_000 }])
  answers('nobody', ...five(500))
  t.end()
})

t.test('0 switches a check off', (t) => {
  const { answers, ejected } = scene(3, { consecutive5xx: 0 })
  answers('e0', ...five(500), ...five(503))
  t.same(ejected(), [])
  t.end()
})

t.test('gateway errors: 502, 503, 504 in a row; a 500 between begins anew', (t) => {
  const { answers, ejected, events } = scene(3, { consecutive5xx: 0, consecutiveGatewayErrors: 3 })
  answers('e0', 502, 503, 500, 504, 502)
  t.same(ejected(), [])
  answers('e0', 503)
  t.same(ejected(), ['e0'])
  t.equal(events[0]?.kind === 'ejected' && events[0].reason, 'consecutive-gateway-errors')
  t.end()
})

t.test('failures to connect and timeouts count as 503 and 504', (t) => {
  const { answers, fails, ejected } = scene(30, {
    maxEjectionPercent: 100,
    consecutiveGatewayErrors: 3,
    consecutive5xx: 4,
  })
  fails('e0', 'unreachable', 2)
  fails('e0', 'timeout', 1)
  t.same(ejected(), ['e0'], 'as gateway errors')
  answers('e1', 500, 500)
  fails('e1', 'timeout', 2)
  t.same(ejected(), ['e0', 'e1'], 'as 5xx')
  t.end()
})

t.test('with the split they count for themselves, and answers of any kind end their row', (t) => {
  const { answers, fails, ejected, events } = scene(30, { splitLocalOrigin: true, consecutiveLocalOriginFailures: 3 })
  answers('e0', 500, 500, 500, 500)
  fails('e0', 'unreachable', 2)
  answers('e0', 200, 500, 500, 500, 500)
  fails('e0', 'timeout', 2)
  t.same(ejected(), [])
  fails('e0', 'unreachable', 1)
  t.same(ejected(), ['e0'])
  t.equal(events[0]?.kind === 'ejected' && events[0].reason, 'consecutive-local-origin')
  t.end()
})

t.test('codes of its own replace 500 to 599, not what is unreachable', (t) => {
  const { answers, fails, ejected } = scene(30, { errorCodes: [429, 503], consecutive5xx: 2, maxEjectionPercent: 100 })
  answers('e0', 500, 500, 500)
  t.same(ejected(), [])
  answers('e0', 429, 503)
  fails('e1', 'unreachable', 2)
  t.same(ejected(), ['e0', 'e1'])
  t.end()
})

t.test('an ejection lasts base × times in a row, up to the most; healthy intervals forgive', (t) => {
  const { answers, ejected, detector, time, events } = scene(3, { maxEjectionMs: 70_000 })
  const lasts = () => {
    answers('e0', ...five(500))
    const from = time.now
    while (ejected().length > 0) {
      time.now += 10_000
      detector.tick()
    }
    return time.now - from
  }
  t.same([lasts(), lasts(), lasts(), lasts()], [30_000, 60_000, 70_000, 70_000])
  t.same(events.at(-1), { kind: 'returned', key: 'e0' })
  for (let interval = 0; interval < 3; interval += 1) detector.tick()
  t.equal(lasts(), 60_000, 'three of four forgiven')
  for (let interval = 0; interval < 30; interval += 1) detector.tick()
  t.equal(lasts(), 30_000, 'all forgiven')
  t.end()
})

t.test('the most is never less than the base', (t) => {
  const { answers, events } = scene(3, { baseEjectionMs: 50, maxEjectionMs: 10 })
  answers('e0', ...five(500))
  t.equal(events[0]?.kind === 'ejected' && events[0].forMs, 50)
  t.end()
})

t.test('failures of requests that were under way do not prolong an ejection', (t) => {
  const { answers, ejected, detector, time } = scene(3)
  answers('e0', ...five(500))
  time.now = 29_000
  answers('e0', ...five(500), ...five(500))
  time.now = 30_000
  detector.tick()
  t.same(ejected(), [])
  answers('e0', 500, 500, 500, 500)
  t.same(ejected(), [], 'and do not count afterwards')
  t.end()
})

t.test('at most so many percent are ejected, one in any case, none with 0', (t) => {
  const most = (count: number, maxEjectionPercent: number) => {
    const { answers, ejected, table } = scene(count, { maxEjectionPercent })
    for (const { key } of table.members) answers(key, ...five(500))
    return ejected().length
  }
  t.same([most(1, 10), most(3, 10), most(15, 10), most(20, 10)], [1, 1, 1, 2])
  t.same([most(10, 0), most(10, 100), most(3, 50), most(4, 50)], [0, 10, 1, 2])
  const { answers, events } = scene(3)
  answers('e0', ...five(500))
  answers('e1', ...five(500), ...five(500))
  t.same(
    events.map(({ kind }) => kind),
    ['ejected', 'spared', 'spared'],
  )
  t.end()
})

t.test('with too few healthy ones ejections do not count, until there are enough again', (t) => {
  const { answers, table, get, events, time, detector } = scene(4, { maxEjectionPercent: 100, minHealthPercent: 50 })
  answers('e0', ...five(500))
  answers('e1', ...five(500))
  t.notOk(table.available(get('e0')), 'half are healthy')
  answers('e2', ...five(500))
  t.ok(table.available(get('e0')))
  t.same(events.at(-1), { kind: 'ejections-ignored', ignored: true })
  time.now = 30_000
  detector.tick()
  t.same(events.at(-1), { kind: 'ejections-ignored', ignored: false })
  t.end()
})

t.test('minHealthPercent 0 never ignores: no panic', (t) => {
  const { answers, table, events } = scene(2, { maxEjectionPercent: 100 })
  for (const key of ['e0', 'e1']) answers(key, ...five(500))
  t.notOk(table.members.some((each) => table.available(each)))
  t.same(
    events.map(({ kind }) => kind),
    ['ejected', 'ejected'],
  )
  t.end()
})

t.test('success rate: who is clearly below the others is ejected at the end of the interval', (t) => {
  const successRate = { minimumHosts: 5, requestVolume: 100, deviations: 1.9 }
  const { answers, ejected, detector, events } = scene(10, { consecutive5xx: 0, successRate })
  for (let index = 0; index < 10; index += 1)
    for (let request = 0; request < 100; request += 1)
      answers(`e${index}`, request % (index === 7 ? 2 : 50) === 0 ? 500 : 200)
  t.same(ejected(), [])
  detector.tick()
  t.same(ejected(), ['e7'])
  t.equal(events[0]?.kind === 'ejected' && events[0].reason, 'success-rate')
  detector.tick()
  t.equal(events.length, 1, 'the next interval begins with nothing')
  t.end()
})

t.test('who leaves is forgotten, who stays is not, and new limits keep what is counted', (t) => {
  const { answers, ejected, detector, table } = scene(2)
  answers('e0', 500, 500, 500)
  answers('e1', 500, 500, 500)
  table.update(many(1))
  detector.follow()
  table.update(many(2))
  detector.follow()
  detector.reconfigure({ ...outlierDefaults, consecutive5xx: 4, intervalMs: 7 })
  t.equal(detector.intervalMs, 7)
  answers('e1', 500)
  t.same(ejected(), [])
  answers('e0', 500)
  t.same(ejected(), ['e0'])
  t.end()
})

t.test('the state is visible', (t) => {
  const { answers, detector, time } = scene(2)
  answers('e0', ...five(503))
  answers('e1', 503)
  time.now = 10_000
  t.same(JSON.parse(JSON.stringify(detector)), {
    ejectionsIgnored: false,
    hosts: [
      {
        key: 'e0',
        ejected: true,
        returnsInMs: 20_000,
        multiplier: 1,
        ejections: 1,
        consecutive5xx: 0,
        consecutiveGatewayErrors: 5,
        consecutiveLocalOriginFailures: 0,
      },
      {
        key: 'e1',
        ejected: false,
        returnsInMs: null,
        multiplier: 0,
        ejections: 0,
        consecutive5xx: 1,
        consecutiveGatewayErrors: 1,
        consecutiveLocalOriginFailures: 0,
      },
    ],
  })
  t.end()
})

t.test('whatever happens, no more than allowed are out, and the table agrees with the state', (t) => {
  const step = fc.tuple(
    fc.integer({ min: 0, max: 9 }),
    fc.constantFrom(200, 500, 503, 0),
    fc.integer({ min: 0, max: 9_000 }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 1, max: 60 }), (steps, maxEjectionPercent) => {
      const { answers, detector, time, ejected, fails } = scene(10, { maxEjectionPercent, consecutive5xx: 2 })
      return steps.every(([host, status, ms]) => {
        time.now += ms
        if (ms > 8_000) detector.tick()
        if (status === 0) fails(`e${host}`, 'unreachable', 1)
        else answers(`e${host}`, status)
        const out = detector.toJSON().hosts.filter((each) => each.ejected)
        return (
          ejected().length <= Math.max(1, maxEjectionPercent / 10) &&
          out.map(({ key }) => key).join() === ejected().join()
        )
      })
    }),
  )
  t.end()
})
