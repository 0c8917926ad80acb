// The samples of examples/, verbatim, from their text to decisions.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import type { MeshObject } from '../../../../core/model/resource.ts'
import { RoutedWorld, routed } from '../../../helpers/route-objects.ts'

function sample(file: string): readonly MeshObject[] {
  const text = readFileSync(new URL(`../../../../examples/${file}`, import.meta.url), 'utf8')
  return parseAllDocuments(text).map((document) => {
    const object = document.toJS() as MeshObject
    return { ...object, metadata: { ...object.metadata, namespace: 'default' } }
  })
}

function world(file: string, service: string): RoutedWorld {
  return new RoutedWorld(sample(file), [
    routed(service, { namespace: 'default' }, { ports: [{ name: 'http', port: 80 }] }),
  ])
}

t.test('canary-virtual-service: 90 to subset v1, 10 to subset v2', (t) => {
  const canary = world('canary-virtual-service.yaml', 'my-service')
  const counts: Record<string, number> = {}
  for (let draw = 0; draw < 10_000; draw++) {
    const decision = canary.decide({}, draw / 10_000, 'my-service', 'default')
    if (decision.kind !== 'forward') throw new Error(decision.kind)
    const { subset, port } = decision.destination.backend
    const key = `${subset?.name} ${JSON.stringify(subset?.labels)} ${port}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  t.same(counts, { 'v1 {"version":"v1"} 80': 9000, 'v2 {"version":"v2"} 80': 1000 })
  t.same(canary.said('my-service'), ['Accepted=True Accepted'])
  const subset = (name: string) => ({ name, labels: { version: name }, policy: {}, ports: {} })
  const found = canary.compiled.resources.find(({ kind }) => kind === 'Destination')
  t.match(found?.value, { sources: ['default/my-service'], policy: {}, subsets: [subset('v1'), subset('v2')] })
  const told = [...canary.compiled.conditions].flatMap(([key, list]) =>
    key.endsWith('.networking.istio.io default/my-service') ? list : [],
  )
  t.ok(told.length >= 4, 'both objects are told')
  t.same(
    told.filter(({ type }) => type.startsWith('Ignored.')),
    [],
    'nothing of it is without effect',
  )
  t.end()
})

t.test('fault-delay: half of the requests wait for two seconds, then go to the service', (t) => {
  const decision = world('fault-delay.yaml', 'slow-service').decide({}, 0, 'slow-service', 'default')
  t.match(decision, {
    kind: 'forward',
    route: { filters: { fault: { delay: { delayMs: 2000, share: 0.5 } } } },
    destination: { backend: { hostname: 'slow-service.default.svc.cluster.local', port: 80 } },
  })
  t.end()
})
