// What goes on while the model changes around it: connections that are no HTTP, answers under way, sessions of clients.
import { once } from 'node:events'
import t from 'tap'
import type { MeshObject } from '../../core/model/resource.ts'
import { report } from '../helpers/control-reports.ts'
import { until } from '../helpers/control-world.ts'
import { clientAddress, WaypointWorld } from '../helpers/waypoint-world.ts'

const object = (kind: string, name: string, spec: object, apiVersion = 'gateway.networking.k8s.io/v1'): MeshObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'shop' },
  spec: spec as Record<string, unknown>,
})
const parentRefs = [{ group: '', kind: 'Service', name: 'orders' }]
const version = (name: string): MeshObject =>
  object('Service', name, { selector: { app: 'orders', version: name }, ports: [{ port: 80, targetPort: 8080 }] }, 'v1')

const frontend = report('h1', 'frontend', clientAddress, { captured: true })
const instance = (number: number) =>
  report('h1', `orders-v${number}`, `10.0.0.${number}`, {
    serviceAccount: 'orders',
    captured: true,
    labels: { app: 'orders', version: `v${number}` },
  })

t.test('connections and answers under way go on while rules change and their endpoint leaves', async (t) => {
  const world = await WaypointWorld.create(t)
  await world.apply(version('v1'), version('v2'))
  const route = object('TCPRoute', 'orders', { parentRefs, rules: [{ backendRefs: [{ name: 'v1', port: 80 }] }] })
  await world.apply(route)
  await (await world.waypoint(await world.token())).ready
  const caller = await world.caller()
  const authority = `${await world.vip()}:80`
  const open = async () => {
    const stream = await caller.connect(authority)
    stream.write(Buffer.from([1]))
    await once(stream, 'data')
    return stream
  }
  const served = () => world.raw.at(-1)?.endpoint
  await until('the route', async () => {
    ;(await open()).destroy()
    return served() === 'orders-v1'
  })
  const first = await open()
  await world.patch(route, { spec: { rules: [{ backendRefs: [{ name: 'v2', port: 80 }] }] } })
  await until('the new route', async () => {
    ;(await open()).destroy()
    return served() === 'orders-v2'
  })
  first.write('still there')
  t.equal(String((await once(first, 'data'))[0]), 'still there', 'after the route has changed')
  await world.host.report(frontend, instance(2))
  await until('orders-v1 has left', () => world.host.snapshot.workloadByAddress('10.0.0.1') === undefined)
  first.write('and now')
  t.equal(String((await once(first, 'data'))[0]), 'and now', 'after its endpoint has left')
  first.destroy()
})

t.test('an answer that is under way comes whole, whatever becomes of its route and its endpoint', async (t) => {
  const world = await WaypointWorld.create(t)
  await (await world.waypoint(await world.token())).ready
  let finish = (): void => {}
  world.answer = (_, response, endpoint) => {
    response.write(`${endpoint} begins`)
    finish = () => response.end(' and ends')
  }
  const caller = await world.caller()
  const stream = await caller.connect(`${await world.vip()}:80`)
  stream.write('GET / HTTP/1.1\r\nhost: orders\r\n\r\n')
  const [head] = (await once(stream, 'data')) as [Buffer]
  const endpoint = Number(/orders-v(\d)/.exec(String(head) + (await rest(/begins/)))?.[1])
  await world.apply(
    object('HTTPRoute', 'orders', {
      parentRefs,
      rules: [{ filters: [{ type: 'RequestRedirect', requestRedirect: { statusCode: 301 } }] }],
    }),
  )
  await world.host.report(frontend, instance(3 - endpoint))
  await until('the endpoint has left', () => world.host.snapshot.workloadByAddress(`10.0.0.${endpoint}`) === undefined)
  await until('the new rule', async () => (await caller.get(`${await world.vip()}:80`)).startsWith('HTTP/1.1 301'))
  finish()
  t.match(await rest(/and ends/), /and ends/)

  async function rest(pattern: RegExp): Promise<string> {
    let text = ''
    while (!pattern.test(text) && !pattern.test(String(head) + text)) text += String((await once(stream, 'data'))[0])
    return text
  }
})

t.test(
  'a session stays with its endpoint when its weight is taken away; an invalid backend has its share of 500',
  async (t) => {
    const world = await WaypointWorld.create(t)
    await world.apply(version('v1'), version('v2'))
    const weights = (first: number, second: number, more: object[] = []) => [
      {
        backendRefs: [{ name: 'v1', port: 80, weight: first }, { name: 'v2', port: 80, weight: second }, ...more],
        sessionPersistence: { cookie: { name: 'sticky' } },
      },
    ]
    const route = object('HTTPRoute', 'orders', { parentRefs, rules: weights(1, 0) })
    await world.apply(route)
    await (await world.waypoint(await world.token())).ready
    const caller = await world.caller()
    const authority = `${await world.vip()}:80`
    const ask = async (cookie = ''): Promise<string> => {
      const stream = await caller.connect(authority)
      const field = cookie === '' ? '' : `cookie: ${cookie}\r\n`
      stream.write(`GET / HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n${field}\r\n`)
      let text = ''
      for await (const chunk of stream) text += String(chunk)
      return text
    }
    const first = await ask()
    t.match(first, /orders-v1$/)
    const cookie = /set-cookie: (sticky=[^;]+);/.exec(first)?.[1] ?? ''
    t.not(cookie, '')
    await world.patch(route, { spec: { rules: weights(0, 1) } })
    await until('the new weights', async () => (await ask()).endsWith('orders-v2'))
    const again = await ask(cookie)
    t.match(again, /orders-v1$/)
    t.notMatch(again, /set-cookie/, 'it has it already')
    t.match(await ask('sticky=made-up'), /orders-v2$/, 'nobody can make one up')
    await world.patch(route, { spec: { rules: weights(0, 1, [{ name: 'nowhere', port: 80, weight: 1 }]) } })
    await until('the invalid backend', async () => (await ask()).startsWith('HTTP/1.1 500'))
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask()))
    const failed = answers.filter((each) => each.startsWith('HTTP/1.1 500')).length
    t.ok(failed > 10 && failed < 50, `${failed} of 60`)
    t.equal(answers.filter((each) => each.endsWith('orders-v2')).length, 60 - failed)
    await world.host.report(frontend, instance(2))
    await until('its endpoint has left', async () => !(await ask(cookie)).endsWith('orders-v1'))
  },
)
