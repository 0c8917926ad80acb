// The field tables against the published CRDs, in both directions, and against their own rules.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Field } from '../../../core/model/fields/field.ts'
import { metadataField } from '../../../core/model/fields/metadata.ts'
import { kinds } from '../../../core/model/kinds.ts'
import { type CrdFields, extractFields, oracleFile } from '../../oracle/extract.ts'

const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as CrdFields
const published = read(oracleFile)
/** The core group has no CRDs: transcribed from the Kubernetes API reference (v1.34). */
const core = read(join(import.meta.dirname, '../../oracle/core-fields.json'))

function pathsOf(
  field: Field,
  path: string,
  version: string,
  found: Record<string, string> = {},
): Record<string, string> {
  if (field.versions?.includes(version) === false) return found
  found[path] = field.type === 'enum' ? `enum ${[...field.values].sort().join('|')}` : field.type
  if (field.type === 'list') pathsOf(field.item, `${path}[]`, version, found)
  if (field.type === 'map') pathsOf(field.value, `${path}{}`, version, found)
  if (field.type === 'object') {
    for (const [name, inner] of Object.entries(field.fields)) pathsOf(inner, `${path}.${name}`, version, found)
  }
  return found
}

for (const kind of kinds) {
  for (const version of kind.versions) {
    t.test(`${kind.kind} ${version} has exactly the published fields, with their types`, (t) => {
      const oracle = { ...core, ...published }[kind.kind]?.[version]
      t.ok(oracle, 'the oracle knows this version')
      t.strictSame(
        Object.entries(kind.body).reduce((found, [name, field]) => pathsOf(field, name, version, found), {}),
        oracle,
      )
      t.end()
    })
  }
  t.test(`every published version of ${kind.kind} is served`, (t) => {
    const versions = Object.keys({ ...core, ...published }[kind.kind] ?? {})
    t.strictSame([...kind.versions].sort(), versions.sort())
    t.end()
  })
}

t.test('the committed oracle says what the CRDs say, where these can be read', (t) => {
  const fresh = extractFields()
  // a clone has no ../shared: the committed facts are then the oracle, compared above
  t.strictSame(
    published,
    fresh ?? published,
    fresh === undefined ? 'no ../shared/crds here' : 'compared with ../shared/crds',
  )
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
  for (const kind of kinds) for (const [name, field] of Object.entries(kind.body)) check(field, `${kind.kind} ${name}`)
  check(metadataField, 'metadata')
  t.end()
})
