// What the control plane says of the Gateway API's kinds has the shape that their CRDs publish.
import t from 'tap'
import { conditionsOf } from '../../../control/compile/conditions.ts'
import { readObject } from '../../../control/compile/readable.ts'
import { waypointController } from '../../../control/compile/waypoints/gateway.ts'
import { MeshInventory } from '../../../control/publish/mesh-inventory.ts'
import { ResolvedRefs } from '../../../control/publish/resolved-refs.ts'
import { statusToWrite } from '../../../control/publish/status-shape.ts'
import { Check } from '../../../core/model/field-check.ts'
import { gatewayClassKind, gatewayKind, gatewayKinds, httpRouteKind } from '../../../core/model/kinds/gateway.ts'
import type { Kind } from '../../../core/model/kinds/kind.ts'
import { withDefaults } from '../../../core/model/normalize.ts'
import { formatProblem } from '../../../core/model/problem.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { exampleOf } from '../../helpers/objects-of-kind.ts'

const now = '2026-06-01T00:00:00Z'
const inventory = new MeshInventory({ trustDomain: 'td', rootNamespaces: [], serviceDomain: 'svc.cluster.local' })
const references = new ResolvedRefs(inventory.objects)

function problemsOf(status: unknown, kind: Kind, version: string): readonly string[] {
  const check = new Check({ version, nulls: 'refused' })
  if (kind.status !== undefined) check.field(status, kind.status, ['status'])
  return check.problems.map(formatProblem)
}

/** As the status writer joins it. */
function told(object: MeshObject): MeshObject['status'] {
  const resolved = references.conditionOf(object)
  const programmed = { type: 'Programmed', status: 'False', reason: 'NotEnforced', message: '' } as const
  const findings = [...readObject(object).findings, ...(resolved === undefined ? [] : [resolved]), programmed]
  return statusToWrite(object, conditionsOf(object, findings), now)
}

t.test('the status of an object with every field fits the published one, in every version', (t) => {
  for (const kind of gatewayKinds.filter(({ status }) => status !== undefined)) {
    for (const version of kind.versions) {
      for (const size of ['minimal', 'full'] as const) {
        const example = exampleOf(kind, version, size)
        const own = kind === gatewayClassKind ? { spec: { controllerName: waypointController } } : {}
        const born = withDefaults({ ...example, ...own })
        t.strictSame(problemsOf(born.status ?? { parents: [] }, kind, version), [], `${kind.kind} ${version} at birth`)
        t.strictSame(problemsOf(told(born) ?? { parents: [] }, kind, version), [], `${kind.kind} ${version} ${size}`)
      }
    }
  }
  t.end()
})

t.test('a new gateway waits for a controller, which then says what it thinks', (t) => {
  const { status: _, ...example } = exampleOf(gatewayKind)
  const born = withDefaults(example)
  const pending = { status: 'Unknown', reason: 'Pending', lastTransitionTime: '1970-01-01T00:00:00Z' }
  t.match(born.status?.conditions, [
    { type: 'Accepted', ...pending },
    { type: 'Programmed', ...pending },
  ])
  const conditions = told(born)?.conditions ?? []
  t.strictSame(
    conditions.map(({ type, status }) => `${type} ${status}`),
    ['Accepted True', 'ResolvedRefs False', 'Programmed False', 'Ignored.fields True'],
  )
  for (const condition of conditions) t.equal(condition.lastTransitionTime, now)
  t.notOk(Object.hasOwn(withDefaults(exampleOf(httpRouteKind)), 'status'), 'routes begin without a status')
  t.end()
})

t.test('a class of another controller is left to it', (t) => {
  const of = (name: string) => withDefaults({ ...exampleOf(gatewayClassKind), spec: { controllerName: name } })
  t.match(told(of(waypointController))?.conditions, [{ type: 'Accepted', status: 'True' }])
  t.equal(told(of('example.com/controller')), undefined)
  t.end()
})
