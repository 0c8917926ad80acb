// The field tables against what is published, in both directions, and against their own rules. Limits and rules of the CRDs:
// limits.test.ts and published-rules.test.ts.
import t from 'tap'
import type { Field } from '../../../core/model/fields/field.ts'
import { metadataField } from '../../../core/model/fields/metadata.ts'
import { kinds } from '../../../core/model/kinds.ts'
import { extractOracle } from '../../oracle/extract.ts'
import { coreFact, fieldsOf, readCoreFields, readOracle } from '../../oracle/facts.ts'
import { placedFields, typeOf } from '../../oracle/table-paths.ts'

const published = readOracle()
const core = readCoreFields()
/** Kinds of Culvert's own are published nowhere else. */
const known = kinds.filter(({ group }) => group !== 'culvert.dev')

function oracleTypes(kind: string, version: string): Readonly<Record<string, string>> | undefined {
  const facts = published[kind] === undefined ? undefined : fieldsOf(published[kind], version)
  if (facts === undefined) {
    const lines = core[kind]?.[version]
    if (lines === undefined) return undefined
    return Object.fromEntries(Object.entries(lines).map(([path, line]) => [path, coreFact(line).type]))
  }
  return Object.fromEntries(Object.entries(facts).map(([path, { type }]) => [path, type]))
}

for (const kind of known) {
  for (const version of kind.versions) {
    t.test(`${kind.kind} ${version} has exactly the published fields, with their types`, (t) => {
      const oracle = oracleTypes(kind.kind, version)
      t.ok(oracle, 'the oracle knows this version')
      const own = [...placedFields(kind, version)].map(([path, { field }]) => [path, typeOf(field)] as const)
      // of the core kinds only what people write is transcribed
      const compared = own.filter(([path]) => oracle?.['status'] !== undefined || !path.startsWith('status'))
      t.strictSame(Object.fromEntries(compared), oracle)
      t.end()
    })
  }
  t.test(`every published version of ${kind.kind} is served`, (t) => {
    const versions = Object.keys(published[kind.kind]?.fields ?? core[kind.kind] ?? {})
    t.strictSame([...kind.versions].sort(), versions.sort())
    t.end()
  })
}

for (const kind of known.filter((kind) => published[kind.kind] !== undefined)) {
  t.test(`${kind.kind} has the published names, scope and columns`, (t) => {
    const oracle = published[kind.kind]!
    for (const name of ['group', 'namespaced', 'plural', 'singular', 'shortNames', 'categories'] as const) {
      t.strictSame(kind[name], oracle[name], name)
    }
    const shown = kind.columns.map(({ name }) => name)
    for (const column of oracle.columns[kind.versions[0]!]!) t.ok(shown.includes(column.split(' .')[0]!), column)
    t.end()
  })
}

t.test('the committed oracle says what the CRDs say, where these can be read', (t) => {
  const fresh = extractOracle()
  // a clone has no ../shared: the committed facts are then the oracle, compared above
  const where = fresh === undefined ? 'no ../shared/crds here' : 'compared with ../shared/crds'
  t.strictSame(published, fresh === undefined ? published : JSON.parse(JSON.stringify(fresh)), where)
  t.end()
})

t.test('every field says what it is for and what Culvert does with it', (t) => {
  const check = (field: Field, path: string): void => {
    t.match(field.text, /^[A-Z].*\.$/, `${path} is described in a sentence`)
    if (field.use.kind === 'enforced') t.ok(field.use.where, path)
    else t.ok(field.use.text.length > 10, `${path} says why it has no effect`)
    if (field.type === 'list') check(field.item, `${path}[]`)
    if (field.type === 'map') check(field.value, `${path}{}`)
    if (field.type === 'object')
      for (const [name, inner] of Object.entries(field.fields)) check(inner, `${path}.${name}`)
  }
  for (const kind of kinds) {
    for (const [name, field] of Object.entries(kind.body)) check(field, `${kind.kind} ${name}`)
    if (kind.status !== undefined) check(kind.status, `${kind.kind} status`)
  }
  check(metadataField, 'metadata')
  t.end()
})
