// The limits that the CRDs publish (lengths, patterns, ranges, counts, what must be there) hold here too, whether a table states
// them as bounds or decides them in a check; what server-side apply and creation need is stated word for word.
import t, { type Test } from 'tap'
import { Check } from '../../../core/model/field-check.ts'
import type { Field } from '../../../core/model/fields/field.ts'
import { kinds } from '../../../core/model/kinds.ts'
import { fieldsOf, type PathFacts, readOracle } from '../../oracle/facts.ts'
import { isRefused, type Placed, placedFields } from '../../oracle/table-paths.ts'

const published = readOracle()
const strange = ['', ' ', 'ü', '!', 'a b', '\n', '-', '_', '.', '*', '/', 'a'.repeat(300), 'A', '1', 'a_b', 'a.b-']

/** Values of the right type just outside of what is published. */
function outside(facts: PathFacts): readonly unknown[] {
  const { min, max, minLength = 0, maxLength, pattern } = facts
  const bad: unknown[] = []
  if (min !== undefined) bad.push(min - 1)
  if (max !== undefined) bad.push(max + 1)
  if (minLength > 0) bad.push('a'.repeat(minLength - 1))
  if (maxLength !== undefined) bad.push('a'.repeat(maxLength + 1))
  if (pattern !== undefined) bad.push(...strange.filter((text) => !new RegExp(pattern, 'u').test(text)))
  if (facts.type === 'integer') bad.push(0.5)
  return bad
}

function problemsOf(value: unknown, field: Field, version: string): readonly string[] {
  const check = new Check({ version, nulls: 'absent' })
  check.field(value, field, [])
  return check.problems.map(({ message }) => message)
}

function counts(path: string, { field }: Placed, facts: PathFacts, version: string, t: Test): void {
  const entries = (count: number): unknown =>
    field.type === 'list'
      ? new Array(count).fill(0)
      : Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 0]))
  const said = (count: number) =>
    problemsOf(entries(count), field, version).some((text) => /^has \d+ entries|^is empty/.test(text))
  if (facts.maxItems !== undefined) t.ok(said(facts.maxItems + 1), `${path} with ${facts.maxItems + 1} entries`)
  if ((facts.minItems ?? 0) > 0) t.ok(said(facts.minItems! - 1), `${path} with ${facts.minItems! - 1} entries`)
}

for (const kind of kinds.filter(({ kind }) => published[kind] !== undefined)) {
  for (const version of kind.versions) {
    const facts = fieldsOf(published[kind.kind]!, version) ?? {}
    // the server writes status itself
    const placed = [...placedFields(kind, version)].filter(([path]) => !path.startsWith('status'))
    const stated = placedFields(kind, version)
    t.test(`${kind.kind} ${version} takes nothing outside of the published limits`, (t) => {
      for (const [path, place] of placed) {
        const fact = facts[path]
        if (fact === undefined || isRefused(place)) continue
        for (const bad of outside(fact)) t.not(problemsOf(bad, place.field, version).length, 0, `${path}: ${bad}`)
        counts(path, place, fact, version, t)
        if (fact.required === true) t.equal(place.field.required, true, `${path} is required`)
      }
      t.end()
    })
    t.test(`${kind.kind} ${version} states defaults and list keys as published`, (t) => {
      for (const [path, { field }] of stated) {
        const fact = facts[path]
        if (fact === undefined) continue
        t.strictSame(field.default, fact.default, `default of ${path}`)
        if (field.type === 'list') {
          t.equal(field.listType ?? 'atomic', fact.listType ?? 'atomic', `listType of ${path}`)
          t.strictSame(field.mapKeys, fact.mapKeys, `mapKeys of ${path}`)
        }
        if (field.type === 'map' || field.type === 'object') t.equal(field.atomic, fact.atomic, `atomic of ${path}`)
        if (field.type === 'object') t.equal(field.open, fact.open, `unknown fields of ${path}`)
      }
      t.end()
    })
  }
}
