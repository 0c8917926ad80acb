// Limits, the queue of those who wait, and what overflows.
import fc from 'fast-check'
import t from 'tap'
import {
  Circuit,
  type CircuitLimits,
  type Entry,
  type Grant,
  isOverflow,
} from '../../../../waypoint/circuit/circuit.ts'

function scene(limits: CircuitLimits) {
  const time = { now: 0 }
  const circuit = new Circuit<string>(limits, () => time.now)
  const log: string[] = []
  const held = new Map<string, Grant<string>>()
  const enter = (name: string, deadlineMs = Number.POSITIVE_INFINITY): Entry<string> => {
    const entry = circuit.enter({
      deadlineMs,
      granted: (grant) => {
        held.set(name, grant)
        log.push(`${name} ${grant.kind === 'reuse' ? grant.connection : grant.kind}`)
      },
      expired: () => log.push(`${name} expired`),
    })
    if (entry.kind === 'connect') held.set(name, entry)
    return entry
  }
  const close = (name: string) => {
    const grant = held.get(name)
    if (grant?.kind === 'connect') grant.permit.release()
  }
  return { time, circuit, log, enter, close }
}

t.test('0 and absent are no limit', (t) => {
  for (const limits of [{}, { maxConnections: 0, maxPending: 0, maxRequests: 0, maxRetries: 0 }]) {
    const { circuit, enter } = scene({ ...limits, maxRequestsPerConnection: 0 })
    for (let count = 0; count < 5_000; count += 1) {
      if (isOverflow(circuit.request()) || isOverflow(circuit.retry())) t.fail()
      if (enter(`r${count}`).kind !== 'connect') t.fail()
    }
    t.ok(circuit.reusable(1e9))
    t.equal(circuit.toJSON().requests.limit, null)
  }
  t.end()
})

t.test('requests, retries and connections up to their limits, and again when one ends, once', (t) => {
  const { circuit } = scene({ maxRequests: 2, maxRetries: 1, maxConnections: 1 })
  const first = circuit.request()
  circuit.request()
  t.same(circuit.request(), { flag: 'UO', limit: 'requests' })
  if (isOverflow(first)) throw new Error('refused')
  first.release()
  first.release()
  t.notOk(isOverflow(circuit.request()))
  t.ok(isOverflow(circuit.request()), 'a second release frees nothing')
  t.notOk(isOverflow(circuit.retry()))
  t.same(circuit.retry(), { flag: 'UO', limit: 'retries' })
  t.notOk(isOverflow(circuit.connection()))
  t.same(circuit.connection(), { flag: 'UO', limit: 'connections' })
  t.same([circuit.requests, circuit.retries], [2, 1])
  t.end()
})

t.test('beyond the connections requests wait in order, beyond the queue they overflow', (t) => {
  const { circuit, enter, close, log } = scene({ maxConnections: 1, maxPending: 2 })
  t.same(
    ['a', 'b', 'c'].map((name) => enter(name).kind),
    ['connect', 'waiting', 'waiting'],
  )
  t.same(enter('d'), { kind: 'overflow', overflow: { flag: 'UO', limit: 'pending' } })
  t.ok(circuit.offer('connection of a'))
  close('a')
  t.same(log, ['b connection of a', 'c connect'])
  t.notOk(circuit.offer('x'), 'nobody waits')
  t.same(circuit.toJSON(), {
    connections: { used: 1, limit: 1, open: true, overflows: 0 },
    pending: { used: 0, limit: 2, open: false, overflows: 1 },
    requests: { used: 0, limit: null, open: false, overflows: 0 },
    retries: { used: 0, limit: null, open: false, overflows: 0 },
  })
  t.end()
})

t.test('who cancels or whose deadline passes gives its place to the next', (t) => {
  const { circuit, enter, close, log, time } = scene({ maxConnections: 1, maxPending: 3 })
  enter('a')
  const b = enter('b')
  enter('c', 100)
  enter('d', 200)
  t.equal(circuit.nextDeadlineMs, 100)
  if (b.kind === 'waiting') b.cancel()
  time.now = 100
  circuit.expire()
  t.same(log, ['c expired'])
  t.equal(circuit.nextDeadlineMs, 200)
  enter('e')
  time.now = 200
  close('a')
  t.same(log, ['c expired', 'd expired', 'e connect'], 'a passed deadline is seen without the timer too')
  t.equal(circuit.nextDeadlineMs, Number.POSITIVE_INFINITY)
  t.end()
})

t.test('a newcomer does not overtake who waits, raised limits let the waiting go', (t) => {
  const { circuit, enter, close, log } = scene({ maxConnections: 2, maxPending: 9 })
  for (const name of ['a', 'b', 'c', 'd', 'e']) enter(name)
  circuit.reconfigure({ maxConnections: 3, maxPending: 9 })
  t.same(log, ['c connect'])
  t.equal(enter('f').kind, 'waiting')
  circuit.reconfigure({ maxConnections: 1, maxPending: 1 })
  t.equal(enter('g').kind, 'overflow')
  close('a')
  close('b')
  t.same(log, ['c connect'], 'down to the lower limit first')
  close('c')
  t.same(log, ['c connect', 'd connect'])
  circuit.reconfigure({})
  t.same(log.slice(2), ['e connect', 'f connect'])
  t.end()
})

t.test('nor from within the answer to one that waited', (t) => {
  const circuit = new Circuit<string>({ maxConnections: 1 }, () => 0)
  const log: string[] = []
  const waits = (name: string, then = () => {}) => ({
    deadlineMs: Number.POSITIVE_INFINITY,
    granted: () => {
      log.push(name)
      then()
    },
    expired: () => {},
  })
  circuit.enter(waits('a'))
  circuit.enter(waits('b', () => log.push(circuit.enter(waits('d')).kind)))
  circuit.enter(waits('c'))
  circuit.reconfigure({ maxConnections: 3 })
  t.same(log, ['b', 'waiting', 'c'])
  t.end()
})

t.test('a connection serves so many requests', (t) => {
  const { circuit } = scene({ maxRequestsPerConnection: 2 })
  t.same(
    [0, 1, 2, 3].map((count) => circuit.reusable(count)),
    [true, true, false, false],
  )
  t.end()
})

t.test('whatever happens: limits hold, everybody is answered once, and in order', (t) => {
  const step = fc.constantFrom('enter', 'enter', 'close', 'cancel', 'later')
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { circuit, enter, close, log, time } = scene({ maxConnections: 3, maxPending: 4 })
      const open: string[] = []
      const waiting: { readonly name: string; cancel(): void }[] = []
      let grantsSeen = 0
      return steps.every((what, index) => {
        const name = `r${index}`
        if (what === 'enter') {
          const entry = enter(name, time.now + 5)
          if (entry.kind === 'connect') open.push(name)
          if (entry.kind === 'waiting') waiting.push({ name, cancel: () => entry.cancel() })
          if (entry.kind === 'overflow' && waiting.length < 4) return false
        } else if (what === 'close') {
          const first = open.shift()
          if (first !== undefined) close(first)
        } else if (what === 'cancel') waiting.pop()?.cancel()
        else {
          time.now += 2
          circuit.expire()
        }
        for (const line of log.slice(grantsSeen)) {
          const [told = '', how] = line.split(' ')
          if (waiting.shift()?.name !== told) return false
          if (how === 'connect') open.push(told)
        }
        grantsSeen = log.length
        const { connections, pending } = circuit.toJSON()
        return (
          connections.used === open.length && open.length <= 3 && pending.used === waiting.length && waiting.length <= 4
        )
      })
    }),
  )
  t.end()
})
