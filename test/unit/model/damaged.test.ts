// Objects of every kind, damaged somewhere: validation has something to say, or nothing, but never throws. Rules between fields
// run only on values of the right types, and a null inside of them is the value that they forget.
import fc from 'fast-check'
import t from 'tap'
import { kinds } from '../../../core/model/kinds.ts'
import { validateObject } from '../../../core/model/validate.ts'
import { objectsOf } from '../../helpers/objects-of-kind.ts'

const damage = fc.constantFrom<unknown>(null, '', ' ', 'a', 0, -1, 1e300, true, [], [null], [[]], {}, { a: null })

type Steps = readonly (string | number)[]

/** Where the value has parts, and parts of parts. */
function placesOf(value: unknown, at: Steps = []): readonly Steps[] {
  if (typeof value !== 'object' || value === null) return [at]
  const entries: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value)
  return [at, ...entries.flatMap(([name, inner]) => placesOf(inner, [...at, name]))]
}

/** The value with another one at a place; in lists what was there before stands beside it, on one side or the other. */
function damaged(value: unknown, [step, ...rest]: Steps, bad: unknown, before: boolean): unknown {
  if (step === undefined) return bad
  if (!Array.isArray(value)) {
    const fields = value as Readonly<Record<string, unknown>>
    return { ...fields, [step]: damaged(fields[step], rest, bad, before) }
  }
  const wrong = damaged(value[Number(step)], rest, bad, before)
  return before ? [wrong, ...value] : [...value, wrong]
}

for (const kind of kinds) {
  t.test(`a ${kind.kind} of ${kind.group === '' ? 'the core' : kind.group}, damaged somewhere, is judged`, (t) => {
    const objects = objectsOf(kind, kind.versions[0]!)
    fc.assert(
      fc.property(objects, fc.nat(), damage, fc.boolean(), (object, place, bad, before) => {
        const places = placesOf(object)
        const wrong = damaged(object, places[place % places.length]!, bad, before)
        return Array.isArray(validateObject(wrong))
      }),
      { numRuns: 100 },
    )
    t.end()
  })
}
