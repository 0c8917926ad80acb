// Every rule that the CRDs publish (`x-kubernetes-validations`, `oneOf`) is decided here or named in not-enforced.ts. A rule counts
// as decided where a bad value from rule-examples.ts is refused at every field that carries it, or where the table states it.
import t from 'tap'
import { Check } from '../../../core/model/field-check.ts'
import type { Field } from '../../../core/model/fields/field.ts'
import { kinds } from '../../../core/model/kinds.ts'
import { plainValue } from '../../helpers/objects-of-kind.ts'
import { fieldsOf, readOracle } from '../../oracle/facts.ts'
import { notEnforced } from '../../oracle/not-enforced.ts'
import { ruleExamples } from '../../oracle/rule-examples.ts'
import { isRefused, type Placed, placedFields } from '../../oracle/table-paths.ts'

const published = readOracle()
const served = kinds.filter(({ kind }) => published[kind] !== undefined)

/** Messages of the rules that the tables state for the field or for what it stands in. */
function statedRules({ field, parents }: Placed): readonly string[] {
  return [field, ...parents].flatMap((part) =>
    part.type === 'object' || part.type === 'list' ? (part.rules ?? []).map(({ message }) => message) : [],
  )
}

/** A list or map rule may be given values of another type by the same message: those do not count. */
function fits(value: unknown, field: Field): boolean {
  if (field.type === 'list') return Array.isArray(value)
  if (field.type === 'map' || field.type === 'object') return typeof value === 'object' && !Array.isArray(value)
  if (field.type === 'integer') return typeof value === 'number'
  return typeof value === 'string'
}

/** Two of the fields that exclude each other, in all pairs. */
function pairs(message: string, field: Field, version: string): readonly unknown[] {
  const names = /^at most one of (.*)$/.exec(message)?.[1]?.split(', ') ?? []
  if (field.type !== 'object') return []
  return names.flatMap((first, index) =>
    names.slice(index + 1).map((second) => ({
      [first]: plainValue(field.fields[first]!, version),
      [second]: plainValue(field.fields[second]!, version),
    })),
  )
}

function complaints(value: unknown, field: Field, version: string): number {
  const check = new Check({ version, nulls: 'absent' })
  check.field(value, field, [])
  return check.problems.length
}

const excused = new Set<string>()
const stated = new Set<string>()

for (const kind of served) {
  for (const version of kind.versions) {
    t.test(`${kind.kind} ${version} decides every published rule`, (t) => {
      const placed = placedFields(kind, version)
      for (const [path, { rules = [] }] of Object.entries(fieldsOf(published[kind.kind]!, version) ?? {})) {
        const place = placed.get(path)
        // the server writes status itself
        if (place === undefined || isRefused(place) || path.startsWith('status')) continue
        for (const message of rules) {
          const name = `${kind.kind} ${message}`
          if (Object.hasOwn(notEnforced, name)) {
            excused.add(name)
            continue
          }
          const bad = [...(ruleExamples[message] ?? []), ...pairs(message, place.field, version)]
          const values = bad.filter((value) => fits(value, place.field))
          for (const value of values) {
            t.not(complaints(value, place.field, version), 0, `${path}: ${message}: ${JSON.stringify(value)}`)
          }
          if (values.length === 0) t.ok(statedRules(place).includes(message), `${path}: "${message}" is known`)
        }
      }
      t.end()
    })
    t.test(`${kind.kind} ${version} states no rule that is not published`, (t) => {
      const facts = fieldsOf(published[kind.kind]!, version) ?? {}
      const messages = new Set(Object.values(facts).flatMap(({ rules = [] }) => rules))
      for (const [path, { field }] of placedFields(kind, version)) {
        if (field.type !== 'object' && field.type !== 'list') continue
        for (const { message } of field.rules ?? []) {
          stated.add(`${kind.kind} ${message}`)
          t.ok(messages.has(message), `${path}: "${message}"`)
        }
      }
      t.end()
    })
  }
}

t.test('nothing is excused that is decided, or that no served kind has', (t) => {
  const kindsServed = new Set(served.map(({ kind }) => kind))
  for (const name of Object.keys(notEnforced).filter((name) => kindsServed.has(name.split(' ')[0]!))) {
    t.ok(excused.has(name), name)
    t.notOk(stated.has(name), `${name} is stated and excused`)
  }
  t.end()
})
