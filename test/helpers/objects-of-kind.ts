// Valid objects of any kind, made from its field table alone: a small one, one with every field that goes together, one that has a
// given field, and random ones for fast-check. For tests of validation, OpenAPI, apply and kubectl.
import fc from 'fast-check'
import {
  type Field,
  type FieldTable,
  fieldAt,
  fieldsAt,
  type ObjectCheck,
  type ObjectField,
} from '../../core/model/fields/field.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import { formatApiVersion } from '../../core/model/kinds.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { accepts, leafValues, mapKeys } from './field-values.ts'

/** Which optional fields to set: none, all that go together, or by a stream of numbers. */
type Choice = 'minimal' | 'full' | Iterator<number>

type Values = Record<string, unknown>

/** How many forms of one field are tried before it is left out. */
const mostForms = 16

/** How often fields are added in vain: combinations of a table as large as a Pod's would never end. */
const mostRepairs = 200

/**
 * A valid object of the kind: `minimal` has what is required, `full` every field that can stand beside the others. The name is
 * `example` (some kinds ask for more of a name), the namespace `default` where there is one.
 */
export function exampleOf(kind: Kind, version = kind.versions[0]!, size: 'minimal' | 'full' = 'full'): MeshObject {
  return assemble(kind, version, new Builder(version, size), [])
}

/** A small valid object in which the field at an oracle's path (`spec.http[].retries`) is set; undefined where none was found. */
export function exampleWith(kind: Kind, version: string, path: string): MeshObject | undefined {
  const steps = path.match(/\[\]|\{\}|[^.[{]+/g) ?? []
  const object = assemble(kind, version, new Builder(version, 'minimal'), steps)
  return reaches(object, steps) ? object : undefined
}

/** Random valid objects of the kind. */
export function objectsOf(kind: Kind, version: string): fc.Arbitrary<MeshObject> {
  return fc.infiniteStream(fc.nat(997)).map((numbers) => assemble(kind, version, new Builder(version, numbers), []))
}

/** The smallest accepted value of one field. */
export function plainValue(field: Field, version: string): unknown {
  return new Builder(version, 'minimal').forms(field, [])[0]
}

function assemble(kind: Kind, version: string, builder: Builder, steps: readonly string[]): MeshObject {
  const name = kind.name('example') === undefined ? 'example' : 'example.com'
  const metadata = kind.namespaced ? { name, namespace: 'default' } : { name }
  // the rules between fields see no namespace: the texts that are tried do not hold it
  const checks = (kind.checks ?? []).map(
    (check): ObjectCheck =>
      (value, report) =>
        check({ metadata: { name }, ...value }, report),
  )
  const table = { type: 'object', text: '', use: { kind: 'enforced', where: '' }, fields: kind.body, checks } as const
  const body = builder.forms(withSpec(table), steps)[0] as Values | undefined
  return {
    apiVersion: formatApiVersion(kind.group, version),
    kind: kind.kind,
    metadata,
    ...(kind.kind === 'Event' && body !== undefined ? besideItsObject(body) : body),
  } as MeshObject
}

/** An event stands in the namespace of what it is about. */
function besideItsObject(body: Values): Values {
  return { ...body, involvedObject: { ...(body['involvedObject'] as object), namespace: 'default' } }
}

/** Validation sees an absent `spec` as an empty one where rules stand between its fields: so it is always written. */
function withSpec(table: ObjectField): ObjectField {
  const fields: FieldTable = Object.fromEntries(
    Object.entries(table.fields).map(([name, field]) => [name, name === 'spec' ? { ...field, required: true } : field]),
  )
  return { ...table, fields }
}

function reaches(value: unknown, [step, ...rest]: readonly string[]): boolean {
  if (value === undefined) return false
  if (step === undefined) return true
  if (step === '[]') return (value as readonly unknown[]).some((item) => reaches(item, rest))
  if (step === '{}') return Object.values(value as object).some((item) => reaches(item, rest))
  return reaches((value as Values)[step], rest)
}

class Builder {
  #repairs = 0
  readonly #version: string
  readonly #choice: Choice

  constructor(version: string, choice: Choice) {
    this.#version = version
    this.#choice = choice
  }

  /** Accepted values of the field, in each of which the steps lead to a value; empty where none was found. */
  forms(field: Field, steps: readonly string[]): readonly unknown[] {
    if (field.use.kind === 'refused') return []
    const found = this.#candidates(field, steps).filter((value) => accepts(field, value, this.#version))
    return this.#turned(found).slice(0, mostForms)
  }

  #candidates(field: Field, steps: readonly string[]): readonly unknown[] {
    const inner = steps.slice(1)
    if (field.type === 'list') {
      const few = Math.max(1, field.minItems ?? 1)
      return this.forms(field.item, inner).map((item) => new Array(few).fill(item))
    }
    if (field.type === 'map') {
      const keys = mapKeys(field)
      return pairs(keys, this.forms(field.value, inner)).map(([key, value]) => ({ [key]: value }))
    }
    return field.type === 'object' ? this.#objects(field, steps) : leafValues(field, this.#version)
  }

  #objects(field: ObjectField, [step, ...rest]: readonly string[]): readonly unknown[] {
    const forced = step === undefined ? [{}] : this.#forced(fieldAt(field.fields[step]!, this.#version)!, step, rest)
    for (const start of forced) {
      const value = this.#withRequired(field, start)
      for (const depth of [0, 1, 2, 3]) {
        const whole = this.#repaired(field, value, depth)
        if (whole !== undefined) return [this.#enriched(field, whole)]
      }
    }
    return []
  }

  #forced(field: Field, name: string, rest: readonly string[]): readonly Values[] {
    const forms = rest.length === 0 ? this.#smallAndFull(field) : this.forms(field, rest)
    return forms.map((value) => ({ [name]: value }))
  }

  #withRequired(field: ObjectField, start: Values): Values {
    const value: Values = { ...start }
    for (const [name, inner] of this.#fields(field)) {
      if (inner.required === true && value[name] === undefined) value[name] = this.forms(inner, [])[0]
    }
    return value
  }

  /** Adds `depth` optional fields where the rules between the fields ask for them. */
  #repaired(field: ObjectField, value: Values, depth: number): Values | undefined {
    if (accepts(field, value, this.#version)) return value
    if (depth === 0 || this.#repairs++ > mostRepairs) return undefined
    for (const [name, inner] of this.#fields(field)) {
      if (Object.hasOwn(value, name) && inner.required !== true) continue
      for (const form of this.#smallAndFull(inner)) {
        const whole = this.#repaired(field, { ...value, [name]: form }, depth - 1)
        if (whole !== undefined) return whole
      }
    }
    return undefined
  }

  #smallAndFull(field: Field): readonly unknown[] {
    const full = this.#choice === 'minimal' ? new Builder(this.#version, 'full').forms(field, []) : []
    return [...this.forms(field, []), ...full]
  }

  /** Every further field that is chosen and goes with those that are there. */
  #enriched(field: ObjectField, start: Values): Values {
    let value = start
    for (const [name, inner] of this.#fields(field)) {
      if (Object.hasOwn(value, name) || !this.#chosen()) continue
      const more = this.forms(inner, []).map((form) => ({ ...value, [name]: form }))
      value = more.find((next) => accepts(field, next, this.#version)) ?? value
    }
    return value
  }

  #fields(field: ObjectField): readonly (readonly [string, Field])[] {
    return fieldsAt(field.fields, this.#version)
  }

  #chosen(): boolean {
    if (typeof this.#choice === 'string') return this.#choice === 'full'
    return this.#choice.next().value % 3 === 0
  }

  /** Random objects start with another form. */
  #turned(forms: readonly unknown[]): readonly unknown[] {
    if (typeof this.#choice === 'string' || forms.length < 2) return forms
    const start = this.#choice.next().value % forms.length
    return [...forms.slice(start), ...forms.slice(0, start)]
  }
}

/** Every pair, those of early ones first: only some are tried. */
function pairs<A, B>(first: readonly A[], second: readonly B[]): readonly (readonly [A, B])[] {
  const ranked = first.flatMap((a, i) => second.map((b, j) => ({ pair: [a, b] as const, rank: i + j })))
  return ranked.sort((a, b) => a.rank - b.rank).map(({ pair }) => pair)
}
