// What columns of `get` show.
import t from 'tap'
import { valueAt } from '../../../core/model/kinds/cell.ts'
import { gatewayKinds } from '../../../core/model/kinds/gateway.ts'
import { column, conditionColumn, type PathStep } from '../../../core/model/kinds/kind.ts'
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
