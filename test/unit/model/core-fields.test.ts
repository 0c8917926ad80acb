// Kubernetes' own kinds against the client's models: what is required, how lists are told apart and merged. Types and fields:
// fields.test.ts.
import t from 'tap'
import type { Field } from '../../../core/model/fields/field.ts'
import { coreKinds } from '../../../core/model/kinds/core.ts'
import { coreFacts } from '../../oracle/core-models.ts'
import { coreFact, readCoreFields } from '../../oracle/facts.ts'
import { placedFields } from '../../oracle/table-paths.ts'

const published = coreFacts()
const told = coreKinds.filter(({ kind }) => published[kind] !== undefined)

t.test('the committed facts are what the installed client says', (t) => {
  const { Service: _, Namespace: __, ...committed } = readCoreFields()
  t.strictSame(committed, published, 'if not: node test/oracle/core-models.ts')
  t.strictSame(Object.keys(published).sort(), told.map(({ kind }) => kind).sort())
  t.end()
})

function listOf(field: Field): string {
  if (field.type !== 'list') return ''
  const { listType = 'atomic', mapKeys = [], patch } = field
  const merged = patch === undefined ? '' : `; ${[patch.strategy, patch.mergeKey ?? ''].join(' ').trim()}`
  return `${[listType, mapKeys.join(',')].join(' ').trim()}${merged}`
}

for (const kind of told) {
  t.test(`${kind.kind} requires and merges what Kubernetes does`, (t) => {
    const lines = published[kind.kind]!['v1']!
    for (const [path, { field }] of placedFields(kind, 'v1')) {
      const fact = coreFact(lines[path] ?? '')
      // a Pod without containers is nothing: validation of Kubernetes says so, its schema does not
      if (path !== 'spec')
        t.equal(field.required === true, fact.required, `${path} is ${fact.required ? '' : 'not '}required`)
      if (field.type === 'list') t.equal(listOf(field), fact.list, path)
    }
    t.end()
  })
}
