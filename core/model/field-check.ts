// Holds a value against its field table: types, required and unknown fields, value rules. Knows no kind; validate.ts calls it.
import {
  type Field,
  fieldAt,
  fieldsAt,
  type IntegerField,
  type IntOrStringField,
  type ListField,
  type MapField,
  type NumberField,
  type ObjectField,
  type Path,
  type ProblemReason,
  type StringField,
} from './fields/field.ts'
import { clip } from './fields/rules.ts'
import { type Problem, problemAt } from './problem.ts'
import { didYouMean } from './suggest.ts'

/** A hostile object may be wrong in a million places; nobody reads more than these. */
const maxProblems = 100

export interface CheckOptions {
  /** Version of the kind, for fields that not every version has. */
  readonly version: string
  readonly nulls: 'absent' | 'refused'
}

export class Check {
  readonly problems: Problem[] = []
  readonly #options: CheckOptions

  constructor(options: CheckOptions) {
    this.#options = options
  }

  report(at: Path, message: string, reason: ProblemReason = 'invalid'): void {
    if (this.problems.length < maxProblems) this.problems.push(problemAt(at, message, reason))
  }

  /** Checks one value that is present. */
  field(value: unknown, field: Field, at: Path): void {
    if (this.problems.length >= maxProblems) return
    if (value === null) {
      this.report(at, 'has no value: remove it, or give it one', 'type')
      return
    }
    if (field.use.kind === 'refused') {
      this.report(at, field.use.text, 'refused')
      return
    }
    this.#typed(value, field, at)
  }

  #typed(value: unknown, field: Field, at: Path): void {
    if (field.type === 'object') this.#object(value, field, at)
    else if (field.type === 'list') this.#list(value, field, at)
    else if (field.type === 'map') this.#map(value, field, at)
    else if (field.type === 'string') this.#string(value, field, at)
    else if (field.type === 'number') this.#number(value, field, at)
    else if (field.type === 'integer') this.#integer(value, field, at)
    else if (field.type === 'enum') this.#enum(value, field.values, at)
    else if (field.type === 'int-or-string') this.#intOrString(value, field, at)
    else if (field.type === 'boolean' && typeof value !== 'boolean') this.#wrongType('true or false', value, at)
  }

  #wrongType(expected: string, value: unknown, at: Path): void {
    this.report(at, `must be ${expected}, found ${describe(value)}`, 'type')
  }

  #string(value: unknown, field: StringField, at: Path): void {
    if (typeof value !== 'string') {
      const plain = typeof value === 'number' || typeof value === 'boolean'
      // a duration of 5 is not mended by quotes; a version 1.10 has become 1.1 before it is seen here
      const hint = plain ? `; ${field.check?.(String(value)) ?? 'write it in quotes'}` : ''
      this.report(at, `must be a string, found ${describe(value)}${hint}`, 'type')
      return
    }
    // the check has the better words, where both complain
    this.#complain(field.check?.(value) ?? outOfBounds(value, field), at)
  }

  #number(value: unknown, field: NumberField, at: Path): void {
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = field
    if (typeof value !== 'number' || !Number.isFinite(value)) this.#wrongType('a number', value, at)
    else if (value < min || value > max) this.report(at, `${value} is out of range: ${min} to ${max}`)
  }

  #complain(wrong: string | undefined, at: Path): void {
    if (wrong !== undefined) this.report(at, wrong)
  }

  #integer(value: unknown, field: IntegerField, at: Path): void {
    if (typeof value !== 'number' || !Number.isInteger(value)) {
      this.#wrongType('a whole number', value, at)
    } else if (value < field.min || value > field.max) {
      this.report(at, `${value} is out of range: ${field.min} to ${field.max}`)
    } else if (field.values?.includes(value) === false) {
      this.report(at, `${value} is not one of ${field.values.join(', ')}`, 'unsupported')
    }
  }

  #enum(value: unknown, values: readonly string[], at: Path): void {
    if (typeof value !== 'string') this.#wrongType(`one of ${values.join(', ')}`, value, at)
    else if (!values.includes(value)) {
      this.report(at, `"${clip(value)}" is not one of ${values.join(', ')}${didYouMean(value, values)}`, 'unsupported')
    }
  }

  #intOrString(value: unknown, { check, fractions = false }: IntOrStringField, at: Path): void {
    const fits = (number: number): boolean => (fractions ? Number.isFinite(number) : Number.isInteger(number))
    if (typeof value === 'string' || (typeof value === 'number' && fits(value))) this.#complain(check?.(value), at)
    else this.#wrongType(`a ${fractions ? '' : 'whole '}number or a string`, value, at)
  }

  #list(value: unknown, field: ListField, at: Path): void {
    if (!Array.isArray(value)) {
      this.#wrongType('a list', value, at)
      return
    }
    const before = this.problems.length
    this.#count(value.length, field, at)
    for (const [index, item] of value.entries()) this.field(item, field.item, [...at, index])
    if (this.problems.length > before) return
    for (const { index, of } of repeatedItems(value, field)) {
      this.report([...at, index], `is the same as entry ${of}: each ${nameOfItem(field)} stands once`, 'duplicate')
    }
    const items = field.rules === undefined ? value : withoutNulls(value)
    for (const { check } of field.rules ?? []) {
      check(items as unknown as readonly never[], (path, message, reason) =>
        this.report([...at, ...path], message, reason),
      )
    }
  }

  #count(count: number, field: ListField | MapField, at: Path): void {
    if (count < (field.minItems ?? 0)) this.report(at, 'is empty: remove it, or name at least one', 'required')
    if (count > (field.maxItems ?? Number.POSITIVE_INFINITY)) {
      this.report(at, `has ${count} entries, at most ${field.maxItems} are allowed`)
    }
  }

  #map(value: unknown, field: MapField, at: Path): void {
    if (!isObject(value)) {
      this.#wrongType('an object', value, at)
      return
    }
    const entries = Object.entries(value)
    this.#count(entries.length, field, at)
    for (const [key, entry] of entries) {
      this.#complain(field.key?.(key), [...at, key])
      this.field(entry, field.value, [...at, key])
    }
  }

  #object(value: unknown, field: ObjectField, at: Path): void {
    if (!isObject(value)) {
      this.#wrongType('an object', value, at)
      return
    }
    const before = this.problems.length
    const present = this.#presentFields(value, field, at)
    for (const [name, inner] of fieldsAt(field.fields, this.#options.version)) {
      if (inner.required === true && !Object.hasOwn(present, name))
        this.report([...at, name], 'is required', 'required')
    }
    if (this.problems.length > before) return
    const checks = [...(field.checks ?? []), ...(field.rules ?? []).map((rule) => rule.check)]
    if (checks.length === 0) return
    const values = withoutNulls(present) as Readonly<Record<string, unknown>>
    for (const check of checks) {
      check(values, (path, message, reason) => this.report([...at, ...path], message, reason))
    }
  }

  #presentFields(value: Readonly<Record<string, unknown>>, field: ObjectField, at: Path): Record<string, unknown> {
    const present: Record<string, unknown> = {}
    for (const [name, entry] of Object.entries(value)) {
      if (this.problems.length >= maxProblems) return present
      const known = Object.hasOwn(field.fields, name) ? field.fields[name] : undefined
      if (known === undefined && field.open === true) continue
      const inner = known === undefined ? undefined : fieldAt(known, this.#options.version)
      if (inner === undefined) {
        this.report(
          [...at, name],
          `unknown field "${clip(name)}"${didYouMean(name, Object.keys(field.fields))}`,
          'unknown',
        )
      } else if (entry !== undefined && (entry !== null || this.#options.nulls === 'refused')) {
        present[name] = entry
        this.field(entry, inner, [...at, name])
      }
    }
    return present
  }
}

/** What rules between fields see: a null that was let pass, at any depth, is a field that is not there. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(withoutNulls)
    return items.every((item, index) => item === value[index]) ? value : items
  }
  if (!isObject(value)) return value
  const entries = Object.entries(value)
  const kept = entries.flatMap(([name, entry]) => (entry === null ? [] : [[name, withoutNulls(entry)] as const]))
  const same = kept.length === entries.length && kept.every(([, entry], index) => entry === entries[index]?.[1])
  return same ? value : Object.fromEntries(kept)
}

/** Items that a list of type set or map has already. Lists of the core kinds may repeat: Kubernetes only warns. */
function repeatedItems(items: readonly unknown[], field: ListField): readonly { index: number; of: number }[] {
  const { listType = 'atomic', mapKeys = [], patch } = field
  if (listType === 'atomic' || patch !== undefined) return []
  const parts = field.item.type === 'object' ? field.item.fields : {}
  const keyOf = (item: unknown): string =>
    JSON.stringify(
      listType === 'set' ? item : mapKeys.map((key) => (isObject(item) ? item[key] : undefined) ?? parts[key]?.default),
    )
  const seen = new Map<string, number>()
  return items.flatMap((item, index) => {
    const key = keyOf(item)
    const of = seen.get(key)
    if (of === undefined) seen.set(key, index)
    return of === undefined ? [] : [{ index, of }]
  })
}

function nameOfItem({ listType, mapKeys = [] }: ListField): string {
  return listType === 'set' ? 'value' : mapKeys.join(' and ')
}

const patterns = new Map<string, RegExp>()

function outOfBounds(value: string, { minLength = 0, maxLength, pattern }: StringField): string | undefined {
  if (value.length < minLength) return minLength === 1 ? 'is empty' : `has fewer than ${minLength} characters`
  if (maxLength !== undefined && value.length > maxLength) return `has more than ${maxLength} characters`
  if (pattern === undefined) return undefined
  let compiled = patterns.get(pattern)
  if (compiled === undefined) {
    compiled = new RegExp(pattern, 'u')
    patterns.set(pattern, compiled)
  }
  return compiled.test(value) ? undefined : `"${clip(value)}" does not match ${pattern}`
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What was found, in words: `the number 8080`, `a list`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string') return `the string "${clip(value)}"`
  if (typeof value === 'number' || typeof value === 'bigint') return `the number ${value}`
  if (typeof value === 'boolean') return String(value)
  return 'an object'
}
