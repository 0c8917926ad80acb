import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { dumpRoute, liveRoute, logLevelRoute, metricsRoute, readyRoute } from '../../../core/admin/routes.ts'
import type { HttpHandler } from '../../../core/admin/server.ts'
import { nullLogger } from '../../../core/base/log.ts'
import { MetricSet } from '../../../core/base/metrics.ts'
import { Readiness } from '../../../core/base/readiness.ts'

const ask = async (handler: HttpHandler, path = '/', method = 'GET') =>
  await handler({ method } as IncomingMessage, new URL(path, 'http://admin'))

t.test('ready says what is pending until nothing is, and draining at the end', async (t) => {
  const readiness = new Readiness()
  const draining = new AbortController()
  const route = readyRoute(readiness, draining.signal)
  const first = readiness.task('first state')
  const listeners = readiness.task('listeners')
  t.same(await ask(route), { status: 503, body: 'pending: first state\npending: listeners\n' })
  first()
  listeners()
  t.same(await ask(route), { status: 200, body: 'ready\n' })
  draining.abort()
  t.same(await ask(route), { status: 503, body: 'draining\n' })
  t.match(await ask(liveRoute()), { status: 200 })
})

t.test('metrics are the sum of the workers', async (t) => {
  const set = new MetricSet()
  set.counter('x_total', 'X.', []).labels([]).add(2)
  const answer = await ask(metricsRoute(() => Promise.resolve([set.snapshot(), set.snapshot()])))
  t.match(answer, { status: 200, type: /^text\/plain; version=0\.0\.4/, body: /^x_total 4$/m })
})

t.test('a dump shows maps, sets and big numbers as JSON', async (t) => {
  const answer = await ask(dumpRoute(() => ({ a: new Map([['k', 1n]]), b: new Set([1]) })))
  t.same(JSON.parse(answer.body), { a: { k: '1' }, b: [1] })
})

t.test('the log level is told and set, and only to a level', async (t) => {
  const log = nullLogger()
  const applied: string[] = []
  const route = logLevelRoute(log, (level) => applied.push(level))
  t.same(await ask(route), { status: 200, body: 'silent\n' })
  t.match(await ask(route, '/?level=debug', 'POST'), { status: 200, body: 'debug\n' })
  t.equal(log.level, 'debug')
  t.match(await ask(route, '/?level=loud', 'POST'), { status: 400 })
  t.match(await ask(route, '/', 'POST'), { status: 400 })
  t.equal(log.level, 'debug')
  t.same(applied, ['debug'])
})
