// The laws of server-side apply: field sets are sets, comparing finds every difference and no other, applying twice is applying once.
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { applyConfiguration, createdByApply } from '../../../control/api/apply/apply.ts'
import { compare, isSameContent, writtenBy } from '../../../control/api/apply/compare.ts'
import {
  difference,
  equalSets,
  type FieldSet,
  formatFieldPath,
  intersection,
  isEmpty,
  pathsOf,
  setOf,
  union,
  without,
} from '../../../control/api/apply/field-set.ts'
import { decodeFields, encodeFields } from '../../../control/api/apply/fields-v1.ts'
import type { Writer } from '../../../control/api/apply/managers.ts'
import { merge } from '../../../control/api/apply/merge.ts'
import { withOwners } from '../../../control/api/apply/tracking.ts'
import { fieldSetOf, keyProblems, rootField, withNamedFields } from '../../../control/api/apply/typed.ts'
import type { Kind } from '../../../core/model/kinds/kind.ts'
import { kinds } from '../../../core/model/kinds.ts'
import { withoutNulls } from '../../../core/model/normalize.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { objectsOf } from '../../helpers/objects-of-kind.ts'

const step = fc.constantFrom('f:a', 'f:b', 'f:__proto__', 'k:{"name":"x"}', 'k:{"name":"y"}', 'v:1', 'v:"1"', 'i:0')
const sets = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 8 }).map(setOf)

const same = (a: FieldSet, b: FieldSet): boolean => equalSets(a, b)

t.test('field sets obey the laws of sets', (t) => {
  fc.assert(
    fc.property(sets, sets, sets, (a, b, c) => {
      t.ok(same(union(a, b), union(b, a)))
      t.ok(same(union(a, union(b, c)), union(union(a, b), c)))
      t.ok(same(union(a, a), a))
      t.ok(isEmpty(intersection(difference(a, b), b)))
      t.ok(same(union(difference(a, b), intersection(a, b)), a))
      t.ok(isEmpty(difference(without(a, b), difference(a, b))))
      t.ok(same(setOf(pathsOf(a)), a))
    }),
    { numRuns: 200 },
  )
  t.end()
})

t.test('fieldsV1 is read back as it was written, and anything else is refused', (t) => {
  fc.assert(fc.property(sets, (set) => same(decodeFields(JSON.parse(JSON.stringify(encodeFields(set))))!, set)))
  fc.assert(fc.property(fc.jsonValue(), (value) => typeof decodeFields(value) !== 'string'))
  for (const wrong of [{ x: {} }, { 'k:{': {} }, { 'f:a': 1 }, { 'i:-1': {} }, 'f:a', []]) {
    t.equal(decodeFields(wrong), undefined, JSON.stringify(wrong))
  }
  const path = ['f:spec', 'f:ports', 'k:{"port":80,"protocol":"TCP"}', 'f:name']
  t.equal(formatFieldPath(path), '.spec.ports[port=80,protocol="TCP"].name')
  t.end()
})

const writer = (manager: string, operation: 'Apply' | 'Update' = 'Apply'): Writer => {
  return { manager, operation, apiVersion: 'v1' }
}
const options = (kind: Kind, manager: string, force = true) => {
  return { kind, writer: writer(manager), now: '2026-01-01T00:00:00Z', force }
}
const fields = (object: MeshObject) => withoutNulls(object) as unknown as Readonly<Record<string, unknown>>
const runs = { numRuns: 15 }

for (const kind of kinds) {
  const root = rootField(kind)
  // an item that has no key, or that of another one, is refused before it comes here
  const isKeyed = (value: unknown) => [...keyProblems(value, root)].length === 0
  const namedIn = (value: unknown) => withNamedFields(fieldSetOf(value, root), root)
  const objects = objectsOf(kind, kind.versions[0]!).map(withoutNulls)

  t.test(`${kind.kind} of ${kind.group}: comparing finds what differs`, (t) => {
    fc.assert(
      fc.property(objects, objects, (a, b) => {
        if (!isSameContent(compare(a, a, root))) throw new Error('differs from itself')
        if (isSameContent(compare(a, b, root)) !== isDeepStrictEqual(a, b)) throw new Error('a difference was missed')
        const [there, back] = [compare(a, b, root), compare(b, a, root)]
        if (!same(there.added, back.removed) || !same(there.modified, back.modified)) throw new Error('one-sided')
      }),
      runs,
    )
    t.end()
  })

  t.test(`${kind.kind} of ${kind.group}: merging lays one over the other`, (t) => {
    fc.assert(
      fc.property(objects, objects, (a, b) => {
        fc.pre(isKeyed(a) && isKeyed(b))
        const merged = merge(a, b, root)
        if (!isDeepStrictEqual(merge(a, a, root), a)) throw new Error('changed by itself')
        if (!isDeepStrictEqual(merge(merged, b, root), merged)) throw new Error('a second time changes more')
        if (!isEmpty(writtenBy(compare(merged, merge(merged, b, root), root)))) throw new Error('wrote again')
        if (!isEmpty(difference(fieldSetOf(b, root), namedIn(merged)))) throw new Error('lost an applied field')
      }),
      runs,
    )
    t.end()
  })

  t.test(`${kind.kind} of ${kind.group}: applying twice is applying once, and letting go takes it back`, (t) => {
    fc.assert(
      fc.property(objects, objects, (a, b) => {
        fc.pre(isKeyed(a) && isKeyed(b))
        const created = createdByApply(fields(a), options(kind, 'a'))
        const again = applyConfiguration(created, fields(a), options(kind, 'a', false))
        if (!isDeepStrictEqual(again, created)) throw new Error('the same configuration changed something')
        const taken = applyConfiguration(created, fields(b), options(kind, 'b'))
        const twice = applyConfiguration(taken, fields(b), options(kind, 'b', false))
        if (!isDeepStrictEqual(twice, taken)) throw new Error('a second apply changed something')
        const back = applyConfiguration(taken, fields(a), options(kind, 'a'))
        if (!isEmpty(difference(fieldSetOf(fields(a), root), namedIn(back)))) throw new Error('lost a field')
      }),
      runs,
    )
    t.end()
  })

  t.test(`${kind.kind} of ${kind.group}: an update owns what it changed, once`, (t) => {
    fc.assert(
      fc.property(objects, objects, (a, b) => {
        const track = (manager: string) => ({ kind, writer: writer(manager, 'Update'), now: '2026-01-01T00:00:00Z' })
        const first = withOwners(undefined, a, undefined, track('a'))
        const second = withOwners(first, { ...b, metadata: { ...b.metadata } }, undefined, track('b'))
        const held = (second.metadata.managedFields ?? []).map(({ fieldsV1 }) => decodeFields(fieldsV1)!)
        for (const [index, set] of held.entries()) {
          for (const other of held.slice(index + 1)) {
            if (!isEmpty(intersection(set, other))) throw new Error('owned twice')
          }
        }
      }),
      runs,
    )
    t.end()
  })
}
