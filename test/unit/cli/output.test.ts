// What the CLI makes of objects for people: order, progress, everything about one object.
import t from 'tap'
import { describeObject, type EventView } from '../../../cli/describe.ts'
import { Progress } from '../../../cli/progress.ts'
import { objectTable } from '../../../cli/render.ts'
import { UsageError } from '../../../cli/session.ts'
import { sortedBy } from '../../../cli/sort.ts'
import { serviceKind } from '../../../core/model/kinds/core.ts'
import type { MeshObject } from '../../../core/model/resource.ts'

const now = Date.parse('2026-06-01T12:00:00Z')
const plain = (_: string, text: string): string => text

function service(name: string, fields: object = {}): MeshObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, ...fields }
}

t.test('objects are ordered by a field: numbers by size, those without it first', async (t) => {
  const objects = [10, 9, undefined, 100].map((weight, index) => service(`s${index}`, { spec: { weight } }))
  const names = (path: string) => sortedBy(objects, path).map(({ metadata }) => metadata.name)
  t.same(names('spec.weight'), ['s2', 's1', 's0', 's3'])
  t.same(names('{.metadata.name}'), ['s0', 's1', 's2', 's3'])
  t.same(names('.nothing.at.all'), ['s0', 's1', 's2', 's3'])
  for (const path of ['', '{', 'a..b', 'a[0]']) t.throws(() => sortedBy(objects, path), UsageError, path)
})

t.test('where several kinds are printed, names carry theirs', async (t) => {
  const options = { namespaces: false, wide: false, now, prefix: 'service/' }
  t.equal(objectTable([service('orders')], serviceKind.columns, options).rows[0]?.[0], 'service/orders')
})

t.test('progress is for long work on a terminal, and leaves nothing behind', async (t) => {
  const written: string[] = []
  const terminal = (isTTY: boolean) => ({ isTTY, write: (text: string) => written.push(text) })
  for (const quiet of [new Progress('applied', 1000, terminal(false)), new Progress('applied', 50, terminal(true))]) {
    for (let step = 0; step < 50; step++) quiet.step()
    quiet.clear()
  }
  t.same(written, [])
  let time = 0
  const progress = new Progress('applied', 1000, terminal(true), () => time)
  progress.step()
  progress.step()
  time += 1000
  progress.step()
  progress.clear()
  progress.clear()
  t.same(written, ['\r\x1b[Kapplied 1 of 1000', '\r\x1b[Kapplied 3 of 1000', '\r\x1b[K'])
})

t.test('an object is described with its conditions and what happened to it, the newest last', async (t) => {
  const object = service('orders', {
    metadata: {
      name: 'orders',
      namespace: 'shop',
      labels: { app: 'orders' },
      creationTimestamp: '2026-06-01T11:00:00Z',
    },
    spec: { ports: [{ port: 80 }] },
    status: {
      conditions: [
        { type: 'Accepted', status: 'False', reason: 'Bad', message: 'no', lastTransitionTime: '2026-06-01T11:59:00Z' },
      ],
    },
  })
  const event = (reason: string, fields: object): EventView => ({
    ...{ apiVersion: 'v1', kind: 'Event', metadata: { name: reason, namespace: 'shop' } },
    ...{ type: 'Warning', reason, message: 'it happened', source: { component: 'culvert-control' } },
    ...fields,
  })
  const events = [
    event('Late', { lastTimestamp: '2026-06-01T11:59:30Z', firstTimestamp: '2026-06-01T11:30:00Z', count: 4 }),
    event('Early', { eventTime: '2026-06-01T11:40:00.000000Z', lastTimestamp: null }),
  ]
  const text = describeObject(object, { conditions: object.status?.conditions ?? [], events }, now, plain)
  t.match(
    text,
    /^Name: +orders\nNamespace: +shop\nKind: +Service \(v1\)\nCreated: .*\(60m ago\)\nLabels: +app=orders\n/,
  )
  t.match(text, /Spec:\n {2}ports:\n {4}- port: 80\n/)
  t.match(text, / {2}Accepted +False +60s +Bad +no\n/)
  t.match(
    text,
    /Events:\n.*\n {2}Warning +Early +20m +culvert-control +it happened\n {2}Warning +Late +30s \(x4 over 30m\)/,
  )
})

t.test('what a secret holds is not shown', async (t) => {
  const secret = { ...service('s', { data: { key: 'c2VjcmV0' }, type: 'Opaque' }), kind: 'Secret' }
  const text = describeObject(secret, { conditions: [], events: [] }, now, plain)
  t.match(text, /key: 6 bytes/)
  t.notMatch(text, /c2VjcmV0/)
  t.match(text, /Type:\n {2}Opaque/)
})
