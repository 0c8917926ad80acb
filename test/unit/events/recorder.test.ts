// How events are written: counted up, not too many, whatever the store does.
import t from 'tap'
import { ApiError } from '../../../control/api/errors.ts'
import type { MeshEvent } from '../../../control/events/event.ts'
import { deleteExpired } from '../../../control/events/expiry.ts'
import { hostAway, hostJoined } from '../../../control/events/mesh-events.ts'
import { EventRecorder, type StoredEvent } from '../../../control/events/recorder.ts'
import { nullLogger } from '../../../core/base/log.ts'
import { namespaceKind } from '../../../core/model/kinds/core.ts'
import type { Kind } from '../../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../../core/model/resource.ts'

const kind: Kind = { ...namespaceKind, kind: 'Event', plural: 'events', namespaced: true }

function world() {
  const state = { now: Date.parse('2026-06-01T00:00:00Z'), refuse: [] as (ApiError | Error)[] }
  const stored = new Map<string, StoredEvent>()
  const writes: string[] = []
  const put = (object: MeshObject): void => {
    writes.push(object.metadata.name)
    stored.set(`${object.metadata.namespace}/${object.metadata.name}`, object as StoredEvent)
  }
  const take = (): void => {
    const error = state.refuse.shift()
    if (error !== undefined) throw error
  }
  const recorder = new EventRecorder({
    resources: {
      create: async (object) => {
        take()
        put(object)
        return { object, warnings: [] }
      },
      modify: async (_kind, namespace, name, change) => {
        take()
        const old = stored.get(`${namespace}/${name}`)
        if (old === undefined) throw new ApiError('NotFound', 'not found')
        const object = change(old)
        put(object)
        return { object, warnings: [] }
      },
    },
    kind,
    instance: 'test',
    log: nullLogger(),
    settleMs: 1,
    clock: () => state.now,
  })
  return { state, stored, writes, recorder, all: () => [...stored.values()] }
}

const until = async (what: () => boolean): Promise<void> => {
  const end = performance.now() + 10_000
  while (!what()) {
    if (performance.now() > end) throw new Error('it did not happen')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const about = (name: string, message: string): MeshEvent => ({
  object: { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name, uid: 'u' },
  type: 'Warning',
  reason: 'Broken',
  message,
})

t.test('an event has what kubectl shows, and one of a host stands in the namespace default', async (t) => {
  const { recorder, all } = world()
  recorder.record(hostJoined('h1'))
  recorder.record(about('orders', 'x'))
  await recorder.close()
  t.match(all(), [
    {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace: 'default', name: /^h1\.[0-9a-f]{16}$/ },
      involvedObject: { kind: 'Node', name: 'h1', uid: 'h1' },
      type: 'Normal',
      reason: 'HostJoined',
      count: 1,
      firstTimestamp: '2026-06-01T00:00:00Z',
      lastTimestamp: '2026-06-01T00:00:00Z',
      source: { component: 'culvert-control' },
    },
    { metadata: { namespace: 'shop' }, involvedObject: { namespace: 'shop', name: 'orders', uid: 'u' } },
  ])
})

t.test('the same again counts up, also after it was written; what comes at once is one write', async (t) => {
  const { state, recorder, all, writes } = world()
  recorder.record(hostAway('h1'))
  recorder.record(hostAway('h1'))
  await until(() => writes.length === 1)
  state.now += 60_000
  recorder.record(hostAway('h1'))
  await until(() => writes.length === 2)
  t.match(all(), [{ count: 3, firstTimestamp: '2026-06-01T00:00:00Z', lastTimestamp: '2026-06-01T00:01:00Z' }])
  await recorder.close()
})

t.test('many different messages about one object become one', async (t) => {
  const { recorder, all } = world()
  for (let number = 0; number < 15; number++) recorder.record(about('orders', `message ${number}`))
  recorder.record(about('orders', 'message 3'))
  await recorder.close()
  const events = all()
  t.equal(events.length, 11)
  t.match(events.at(-1), { count: 5, message: /more than 10 different ones/ })
  t.match(
    events.find(({ message }) => message === 'message 3'),
    { count: 2 },
  )
})

t.test('an object that is written about too often waits, and nothing of it is lost; others do not wait', async (t) => {
  const { state, recorder, all, writes } = world()
  for (let round = 1; round <= 25; round++) {
    recorder.record(hostAway('h1'))
    await until(() => writes.length === round)
  }
  recorder.record(hostAway('h1'))
  recorder.record(hostAway('h1'))
  recorder.record(hostAway('h2'))
  await until(() => writes.length === 26)
  t.match(all(), [{ count: 25 }, { count: 1 }])
  state.now += 10_000
  await until(() => writes.length === 27)
  t.match(all(), [{ count: 27 }, { count: 1 }])
  await recorder.close()
})

t.test('a write that meets another one is made again; one into a namespace that is gone is not', async (t) => {
  const { state, recorder, all, writes } = world()
  state.refuse = [new ApiError('Conflict', 'somebody was faster'), new Error('the store is away')]
  recorder.record(hostAway('h1'))
  await until(() => writes.length === 1)
  t.match(all(), [{ count: 1 }])
  state.refuse = [new ApiError('Forbidden', 'the namespace is being deleted')]
  recorder.record(hostAway('h2'))
  await until(() => state.refuse.length === 0)
  await recorder.close()
  t.equal(all().length, 1)
})

t.test('where nobody serves events, nothing is written', async (t) => {
  const unused = async (): Promise<never> => t.fail('a write') as never
  const resources = { create: unused, modify: unused }
  const recorder = new EventRecorder({ resources, kind: undefined, instance: 'test', log: nullLogger(), settleMs: 1 })
  recorder.record(hostAway('h1'))
  await recorder.close()
})

t.test('events that nobody repeated for an hour go, whoever wrote them', async (t) => {
  const now = Date.parse('2026-06-01T12:00:00Z')
  const event = (name: string, fields: object): MeshObject => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace: 'shop', creationTimestamp: '2026-06-01T09:00:00Z' },
    ...fields,
  })
  const events = [
    event('old', { lastTimestamp: '2026-06-01T10:59:00Z' }),
    event('repeated', { lastTimestamp: '2026-06-01T11:01:00Z' }),
    event('new-style', { eventTime: '2026-06-01T11:30:00.123456Z' }),
    event('series', {
      eventTime: '2026-06-01T09:00:00.000000Z',
      series: { lastObservedTime: '2026-06-01T11:59:00.000000Z' },
    }),
    event('bare', {}),
  ]
  const deleted: string[] = []
  const resources = {
    list: async (_kind: Kind, _namespace?: string, fits: (object: MeshObject) => boolean = () => true) => ({
      items: events.filter(fits),
      revision: 1,
    }),
    deleteAll: async (_kind: Kind, objects: readonly MeshObject[]) => {
      deleted.push(...objects.map(({ metadata }) => metadata.name))
      return [...objects]
    },
  }
  await deleteExpired({ resources, kind, log: nullLogger(), clock: () => now })
  t.same(deleted, ['old', 'bare'])
})
