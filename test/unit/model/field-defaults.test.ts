// What the server fills in at creation, from the tables alone.
import fc from 'fast-check'
import t from 'tap'
import { withFieldDefaults } from '../../../core/model/field-defaults.ts'
import { asWhole, type FieldTable } from '../../../core/model/fields/field.ts'
import { gatewayKinds, httpRouteKind } from '../../../core/model/kinds/gateway.ts'
import { withDefaults } from '../../../core/model/normalize.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { validateObject } from '../../../core/model/validate.ts'
import { objectsOf } from '../../helpers/objects-of-kind.ts'

const text = { type: 'string', text: 'A text.', use: asWhole } as const

t.test('defaults reach every depth, and parts of what is absent stay absent', (t) => {
  const inner = {
    type: 'object',
    text: 'An object.',
    use: asWhole,
    fields: { name: text, kind: { ...text, default: 'b' } },
  } as const
  const table: FieldTable = {
    plain: inner,
    whole: { ...inner, default: { name: 'a' } },
    items: { type: 'list', text: 'A list.', use: asWhole, item: inner },
    entries: { type: 'map', text: 'A map.', use: asWhole, value: inner },
    newer: { ...text, default: 'c', versions: ['v2'] },
    other: { ...text, default: 'd', forms: { v2: text } },
  }
  t.strictSame(withFieldDefaults({}, table, 'v1'), { whole: { name: 'a', kind: 'b' }, other: 'd' })
  t.strictSame(withFieldDefaults({}, table, 'v2'), { whole: { name: 'a', kind: 'b' }, newer: 'c' })
  t.strictSame(withFieldDefaults({ plain: {}, items: [{}, { kind: 'x' }], entries: { k: {} } }, table, 'v1'), {
    plain: { kind: 'b' },
    items: [{ kind: 'b' }, { kind: 'x' }],
    entries: { k: { kind: 'b' } },
    whole: { name: 'a', kind: 'b' },
    other: 'd',
  })
  t.end()
})

t.test('what has its defaults already is the same object, and what is written stays', (t) => {
  for (const kind of gatewayKinds) {
    const property = fc.property(objectsOf(kind, kind.versions[0]!), (object) => {
      const filled = withDefaults(object)
      t.equal(withDefaults(filled), filled)
      t.match(filled, object)
      t.strictSame(validateObject({ ...filled, status: undefined }), [], 'still valid')
    })
    fc.assert(property, { numRuns: 20 })
  }
  t.end()
})

t.test('a route gets the match, weights and kinds that its CRD names', (t) => {
  const route = (spec: object): MeshObject => ({
    apiVersion: `gateway.networking.k8s.io/${httpRouteKind.versions[0]}`,
    kind: 'HTTPRoute',
    metadata: { name: 'a' },
    spec: spec as MeshObject['spec'] & object,
  })
  const everything = [{ path: { type: 'PathPrefix', value: '/' } }]
  t.strictSame(withDefaults(route({})).spec, { rules: [{ matches: everything }] })
  const rules = [{ matches: [{ headers: [{ name: 'a', value: 'b' }] }], backendRefs: [{ name: 'c', port: 80 }] }]
  t.strictSame(withDefaults(route({ parentRefs: [{ name: 'gw' }], rules })).spec, {
    parentRefs: [{ name: 'gw', group: 'gateway.networking.k8s.io', kind: 'Gateway' }],
    rules: [
      {
        matches: [{ path: everything[0]!.path, headers: [{ name: 'a', value: 'b', type: 'Exact' }] }],
        backendRefs: [{ name: 'c', port: 80, group: '', kind: 'Service', weight: 1 }],
      },
    ],
  })
  t.end()
})
