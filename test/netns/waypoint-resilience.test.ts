// Retries, deadlines, ejection, budgets, limits, hashing and mirrors behind a waypoint, each counted at the backends themselves.
import t from 'tap'
import {
  destinationRule,
  httpRoute,
  type instances,
  series,
  virtualService,
  WaypointLab,
} from '../helpers/waypoint-lab.ts'

t.setTimeout(300_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

const to = 'backendRefs: [{name: orders, port: 80}]'
const route = 'route: [{destination: {host: orders}}]'
const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0)

t.test('resilience', async (t) => {
  const lab = await WaypointLab.up('wpresilience', stateDir)
  t.teardown(() => lab.close())

  await t.test('a retry goes to another instance, as often as the rule says and not once more', async (t) => {
    const rule = virtualService(`- retries: {attempts: 2, retryOn: "5xx"}\n  ${route}`)
    await lab.with(rule, async () => {
      const failing = series()
      t.match(await lab.call({ url: `http://orders/?responseCode=503&uuid=${failing}` }), { status: 503 })
      const arrived = await lab.arrived(failing)
      t.equal(sum(arrived), 3, JSON.stringify(arrived))
      t.equal(Object.keys(arrived).length, 3, 'three instances')
      const succeeding = series()
      t.match(await lab.call({ url: `http://orders/?uuid=${succeeding}` }), { status: 200 })
      t.equal(await lab.total(succeeding), 1)
    })
  })

  await t.test('a POST is sent again only where its author wrote so, with its whole body', async (t) => {
    const body = 'x'.repeat(40_000)
    const post = (uuid: string) => ({ url: `http://orders/upload?status=503,200&uuid=${uuid}`, method: 'POST', body })
    const off = series()
    await lab.with(virtualService(`- retries: {attempts: 0}\n  ${route}`), async () => {
      t.match(await lab.call(post(off)), { status: 503 })
    })
    t.equal(await lab.total(off), 1)
    const on = series()
    const once = destinationRule('loadBalancer: {simple: ROUND_ROBIN}')
    await lab.with(
      `${virtualService(`- match: [{method: {exact: POST}}]\n  retries: {attempts: 3, retryOn: "503"}\n  ${route}`)}---\n${once}`,
      async () => {
        const answer = await lab.answered({
          url: `http://orders/upload?responseCode=503&uuid=${on}`,
          method: 'POST',
          body,
        })
        t.match(JSON.parse(answer.body), { bytes: body.length }, 'every try had the whole body')
      },
    )
    t.equal(await lab.total(on), 4)
  })

  await t.test('a connection that breaks is tried again elsewhere, and nobody hears of it', async (t) => {
    const rule = virtualService(`- retries: {attempts: 4, retryOn: "reset,connect-failure"}\n  ${route}`)
    await lab.with(rule, async () => {
      const uuid = series()
      // each instance counts for itself: the first request there is reset
      const call = { url: `http://orders/?fault=reset&succeedAfter=1&uuid=${uuid}` }
      const results = await lab.calls(Array.from({ length: 20 }, () => call))
      t.same(
        results.map((result) => result.kind === 'answered' && result.status),
        Array(20).fill(200),
      )
      const arrived = await lab.arrived(uuid)
      t.equal(sum(arrived), 20 + Object.keys(arrived).length)
    })
  })

  await t.test('deadlines: of the request with its retries, of one try; the backend hears of it', async (t) => {
    const rule = `
- matches: [{path: {type: PathPrefix, value: /whole}}]
  timeouts: {request: 300ms}
  ${to}
- matches: [{path: {type: PathPrefix, value: /try}}]
  timeouts: {request: 5s, backendRequest: 200ms}
  retry: {attempts: 2, backoff: 10ms}
  ${to}`
    await lab.with(httpRoute(rule), async () => {
      const whole = series()
      const late = await lab.answered({ url: `http://orders/whole?delay=3s&uuid=${whole}` })
      t.equal(late.status, 504)
      t.ok(late.totalMs >= 295 && late.totalMs < 2_000, `${late.totalMs} ms`)
      t.equal(await lab.total(whole), 1)
      const [instance] = Object.keys(await lab.arrived(whole)) as (typeof instances)[number][]
      t.equal((await lab.counted(instance!, whole)).cancelled, 1, 'the request was taken back')
      const tried = series()
      t.match(await lab.call({ url: `http://orders/try?delay=3s&uuid=${tried}` }), { status: 504 })
      t.equal(await lab.total(tried), 3)
    })
  })

  await t.test('an instance that fails five times in a row gets nothing more, and comes back', async (t) => {
    const policy = destinationRule(`
loadBalancer: {simple: ROUND_ROBIN}
outlierDetection: {consecutive5xxErrors: 5, interval: 1s, baseEjectionTime: 3s, maxEjectionPercent: 50}`)
    const rules = `${policy}---\n${virtualService(`- retries: {attempts: 0}\n  ${route}`)}`
    await lab.with(rules, async () => {
      const uuid = series()
      const url = `http://orders/?status=200,503&uuid=${uuid}`
      // from their second request on all instances fail, but no more than half of them may be ejected
      const report = await lab.load({ url, count: 400, concurrency: 4, expected: [200, 503] })
      t.equal(report.failed, 0)
      const arrived = await lab.arrived(uuid)
      const ejected = Object.values(arrived).filter((count) => count < 60)
      t.ok(ejected.length >= 1 && ejected.length <= 2, `half of them at most: ${JSON.stringify(arrived)}`)
      const again = series()
      const back = async (): Promise<number> => {
        await lab.load({ url: `http://orders/?uuid=${again}`, count: 100, concurrency: 4 })
        return Object.keys(await lab.arrived(again)).length
      }
      const end = performance.now() + 20_000
      while ((await back()) < 4 && performance.now() < end);
      t.equal(Object.keys(await lab.arrived(again)).length, 4, 'all are back')
    })
  })

  await t.test('a retry budget keeps retries to its share of what is under way', async (t) => {
    const policy = destinationRule(`retryBudget: {percent: 20, minRetryConcurrency: 3}`)
    const rules = `${policy}---\n${virtualService(`- retries: {attempts: 5, retryOn: "503"}\n  ${route}`)}`
    await lab.with(rules, async () => {
      const uuid = series()
      const url = `http://orders/?responseCode=503&delay=50ms&uuid=${uuid}`
      const report = await lab.load({ url, count: 400, concurrency: 40, expected: [503] })
      t.equal(report.succeeded, 400)
      const total = await lab.total(uuid)
      t.ok(total > 400, 'there were retries')
      t.ok(total < 800, `${total} requests arrived for 400; without a budget it would be 2,400`)
    })
  })

  await t.test('limits: what is over them is answered with 503 and never reaches a backend', async (t) => {
    const policy = destinationRule(`
connectionPool: {http: {http2MaxRequests: 5, http1MaxPendingRequests: 1}, tcp: {maxConnections: 5}}`)
    const rules = `${policy}---\n${virtualService(`- retries: {attempts: 0}\n  ${route}`)}`
    await lab.with(rules, async () => {
      const uuid = series()
      const url = `http://orders/?delay=200ms&uuid=${uuid}`
      const { statuses } = await lab.load({ url, count: 100, concurrency: 50, expected: [200, 503] })
      t.ok((statuses['503'] ?? 0) > 0, JSON.stringify(statuses))
      t.equal(await lab.total(uuid), statuses['200'])
    })
  })

  await t.test('a rate limit counts by identity, tells when to come back, and leaves others alone', async (t) => {
    const policy = `apiVersion: culvert.dev/v1alpha1
kind: RateLimitPolicy
metadata: {name: orders, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: orders}]
  rules: [{name: each, keys: [{type: Identity}], limit: {requests: 20, per: 1m}}]
`
    await lab.with(policy, async () => {
      const uuid = series()
      const url = `http://orders/?uuid=${uuid}`
      const { statuses } = await lab.load({ url, count: 100, concurrency: 10, expected: [200, 429] })
      t.same(statuses, { 200: 20, 429: 80 })
      t.equal(await lab.total(uuid), 20)
      const over = await lab.answered({ url })
      t.equal(over.status, 429)
      t.match(over.headers.find(([name]) => name === 'retry-after')?.[1], /^\d+$/)
      t.ok(over.headers.some(([name]) => name === 'ratelimit'))
      t.equal((await lab.answered({ url }, 'second')).status, 200, 'another identity has a bucket of its own')
    })
  })

  await t.test(
    'a hash sends the same caller to the same instance, and moves only those of one that leaves',
    async (t) => {
      const policy = destinationRule('loadBalancer: {consistentHash: {httpHeaderName: x-user}}')
      const users = Array.from({ length: 60 }, (_, index) => `user-${index}`)
      const placed = async (): Promise<readonly string[]> => {
        const calls = users.map((user) => ({ url: 'http://orders/', headers: { 'x-user': user } }))
        const results = await lab.calls(calls, { concurrency: 8 })
        return results.map((result) =>
          result.kind === 'answered' ? (/"pod": "([^"]+)"/.exec(result.body)?.[1] ?? '') : result.kind,
        )
      }
      await lab.with(policy, async () => {
        const before = await placed()
        t.equal(new Set(before).size, 4, 'all instances serve somebody')
        t.same(await placed(), before)
        await lab.leave('orders-4')
        const after = await placed()
        const moved = users.filter((_, index) => before[index] !== after[index] && before[index] !== 'orders-4')
        t.same(moved, [], 'nobody moved who need not')
        t.notOk(after.includes('orders-4'))
        await lab.join('orders-4')
        t.same(
          await placed(),
          before,
          'the one that came back serves whom it served before, though it is another life of it',
        )
      })
    },
  )

  await t.test('a mirror gets its share, its answers count for nothing, its slowness costs nothing', async (t) => {
    const rule = virtualService(`- ${route}\n  mirrors: [{destination: {host: shadow}, percentage: {value: 25}}]`)
    await lab.with(rule, async () => {
      const uuid = series()
      const url = `http://orders/?uuid=${uuid}`
      const report = await lab.load({ url, count: 1_000, concurrency: 16 })
      t.equal(report.failed, 0)
      t.equal(await lab.total(uuid), 1_000)
      const { requests } = await lab.counted('shadow', uuid)
      t.ok(Math.abs(requests - 250) <= 50, `${requests} arrived at the mirror`)
    })
    await lab.with(virtualService(`- ${route}\n  mirror: {host: shadow}`), async () => {
      const uuid = series()
      // the mirror fails, and slowly: as many as there are instances of orders fail nobody
      const report = await lab.load({ url: `http://orders/?uuid=${uuid}`, count: 200, concurrency: 8 })
      t.equal(report.succeeded, 200)
      t.match(await lab.counted('shadow', uuid), { requests: 200 })
    })
  })

  await t.test('all of it holds while rules change: retries stay within what some rule allows', async (t) => {
    const uuid = series()
    const load = lab.startLoad({ url: `http://orders/?responseCode=503&uuid=${uuid}`, concurrency: 4, expected: [503] })
    for (const attempts of [1, 2, 1, 2, 1, 2]) {
      await lab.apply(virtualService(`- retries: {attempts: ${attempts}, retryOn: "503"}\n  ${route}`))
    }
    const report = await load.stop()
    await lab.mesh.remove(virtualService(`- ${route}`))
    t.equal(report.failed, 0, JSON.stringify(report.failures))
    const total = await lab.total(uuid)
    t.ok(total >= report.requests && total <= 3 * report.requests, `${total} for ${report.requests}`)
  })
})
