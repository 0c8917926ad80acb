// What columns of `get` show.
import t from 'tap'
import { cellValue, valueAt } from '../../../core/model/kinds/cell.ts'
import { serviceKind } from '../../../core/model/kinds/core.ts'
import { gatewayKinds } from '../../../core/model/kinds/gateway.ts'
import { column, conditionColumn, type PathStep } from '../../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { readOracle } from '../../oracle/facts.ts'

t.test('a path leads through objects and lists, and to one condition', (t) => {
  const object = {
    spec: { ports: [{ port: 80 }, { port: 81 }, 'none'] },
    status: { conditions: [{ type: 'Accepted', status: 'True' }, null, { type: 'Programmed', status: 'Unknown' }] },
  }
  t.strictSame(valueAt(object, column('Ports', 'spec.ports.port', 'Ports.').path), [80, 81, undefined])
  t.equal(valueAt(object, conditionColumn('Programmed', 'Whether.').path), 'Unknown')
  t.equal(valueAt(object, conditionColumn('ResolvedRefs', 'Whether.').path), undefined)
  t.equal(valueAt({}, conditionColumn('Programmed', 'Whether.').path), undefined)
  t.equal(valueAt(undefined, ['a']), undefined)
  t.end()
})

t.test('a service shows its ports and where else it is reached as kubectl prints them', (t) => {
  const shown = (spec: Record<string, unknown>, status?: MeshObject['status']) => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec, ...(status && { status }) }
    const cells = serviceKind.columns.map((column) => [column.name, cellValue(service, column)])
    const { 'Port(s)': ports, 'External-IP': external } = Object.fromEntries(cells) as Record<string, unknown>
    return [ports, external]
  }
  const ports = [
    { port: 80, nodePort: 30080 },
    { port: 53, nodePort: 0, protocol: 'UDP' },
  ]
  t.strictSame(shown({ ports }), ['80:30080/TCP,53/UDP', ''])
  t.strictSame(shown({ type: 'ExternalName', externalName: 'a.example' }), ['', 'a.example'])
  const status = { loadBalancer: { ingress: [{ ip: '192.0.2.1' }, { hostname: 'b.example' }] } }
  t.strictSame(shown({ externalIPs: ['192.0.2.9'] }, status), ['', '192.0.2.1,b.example,192.0.2.9'])
  t.end()
})

/** As the CRDs write it. */
function jsonPath(path: readonly PathStep[]): string {
  return path.map((step) => (typeof step === 'string' ? `.${step}` : `[?(@.type=="${step.type}")]`)).join('')
}

t.test('the columns of the Gateway API are the published ones, in their order', (t) => {
  const published = readOracle()
  for (const { kind, columns, versions } of gatewayKinds) {
    for (const version of versions) {
      const own = columns.map(({ name, path, priority }) => `${name} ${jsonPath(path)} ${priority}`)
      t.strictSame(
        own,
        published[kind]!.columns[version]!.map((text) => text.replaceAll('[*]', '')),
        `${kind} ${version}`,
      )
    }
  }
  t.end()
})
