// What the stack of a waypoint costs per request, alone: no sockets, an upstream that answers at once.
//   node bench/stack.ts            all cases, best of five

import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { Model } from '../test/helpers/waypoint-scene.ts'
import { route, scene, toService, workload } from '../test/helpers/waypoint-scene.ts'
import { Exchange } from '../waypoint/exchange.ts'
import { type Body, bodyOf, emptyBody } from '../waypoint/http/body.ts'
import { Headers } from '../waypoint/http/message.ts'
import { systemTimers } from '../waypoint/timers.ts'

const fields = 'accept|*/*|user-agent|bench|content-type|application/json|x-request-id|9a9ab9f1'.split('|')
const rounds = 5
const requests = 200_000

interface Case {
  readonly name: string
  readonly prepare: (model: Model) => void
  readonly body?: Buffer
}

const exact = (value: string) => [{ path: { kind: 'exact', value } as const }]
const change = { set: [{ name: 'x-a', value: '1' }], add: [], remove: ['x-b'] }

const cases: readonly Case[] = [
  { name: 'no route', prepare: () => {} },
  { name: 'one route, 90/10', prepare: (model) => model.route(route({ action: split() })) },
  { name: 'retries off', prepare: (model) => model.route(route({ retry: 'none' })) },
  {
    name: '100 routes',
    prepare: (model) =>
      model.route(...Array.from({ length: 100 }, (_, n) => route({ matches: exact(`/${n}`) })), route()),
  },
  {
    name: 'headers both ways',
    prepare: (model) => model.route(route({ filters: { request: change, response: change } })),
  },
  { name: 'timeout 15 s', prepare: (model) => model.route(route({ timeoutMs: 15_000 })) },
  { name: '1 KB body', prepare: () => {}, body: Buffer.alloc(1_024) },
]

function split() {
  return { kind: 'forward', destinations: [toService('orders', 90), toService('orders', 10)] } as const
}

async function measure({ prepare, body }: Case): Promise<number> {
  const answer = Buffer.alloc(1_024)
  const { model, stack, origin } = scene({
    clock: () => performance.now(),
    timers: systemTimers,
    random: Math.random,
    requestId: randomUUID,
    telemetry: { exchangeEnded: () => {} },
    upstream: {
      send: async (exchange) => {
        exchange.body.read(sink)
        return { head: { status: 200, headers: Headers.scanned(['server', 'bench']) }, body: bodyOf(answer) }
      },
    },
  })
  for (const name of ['v2', 'v3', 'v4']) model.add(workload(name))
  prepare(model)
  stack.update()
  const startedAt = performance.now()
  for (let count = 0; count < requests; count += 1) {
    const head = {
      method: 'GET',
      scheme: 'http',
      authority: 'orders',
      path: '/orders/1',
      headers: Headers.scanned([...fields]),
    }
    const bytes: Body = body === undefined ? emptyBody : bodyOf(body)
    const exchange = new Exchange({ origin, protocol: 'http/1.1', head, body: bytes, startedAt: 0 })
    const { body: answered } = await stack.handle(exchange)
    answered.read(sink)
  }
  return ((performance.now() - startedAt) * 1_000) / requests
}

const sink = { onData: () => {}, onEnd: () => {}, onError: () => {} }

console.log('microseconds per request, and requests per second of one core')
for (const each of cases) {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round += 1) best = Math.min(best, await measure(each))
  console.log(
    `${each.name.padEnd(20)} ${best.toFixed(2).padStart(6)} µs ${Math.round(1e6 / best)
      .toLocaleString('en')
      .padStart(10)}/s`,
  )
}
