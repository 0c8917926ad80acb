// Small checkers for JSON from the other side of a wire: each returns a typed, rebuilt value or throws FEED_PROTOCOL with
// the path of the first thing that is wrong. Unknown fields are dropped, so that a newer peer may add some.
import { MeshError } from '../base/errors.ts'

/** Checks one value; `path` names it in the error. */
export type Shape<T> = (value: unknown, path: string) => T
type Shaped<S> = S extends Shape<infer T> ? T : never
type Shapes = Readonly<Record<string, Shape<unknown>>>

function wrong(path: string, expected: string): never {
  throw new MeshError('FEED_PROTOCOL', `${path === '' ? 'message' : path}: expected ${expected}`)
}

function asObject(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) wrong(path, 'an object')
  return value as Readonly<Record<string, unknown>>
}

/** A string of at most `maxLength` UTF-16 units. */
export function text(maxLength: number, minLength = 0): Shape<string> {
  return (value, path) => {
    if (typeof value !== 'string') wrong(path, 'a string')
    if (value.length > maxLength || value.length < minLength) wrong(path, `${minLength} to ${maxLength} characters`)
    return value
  }
}

export function integer(min: number, max: number): Shape<number> {
  return (value, path) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
      wrong(path, `an integer from ${min} to ${max}`)
    }
    return value
  }
}

/** One of these words. */
export function enumeration<T extends string>(...words: readonly T[]): Shape<T> {
  return (value, path) => words.find((word) => word === value) ?? wrong(path, `one of ${words.join(', ')}`)
}

export const boolean: Shape<boolean> = (value, path) => (typeof value === 'boolean' ? value : wrong(path, 'a boolean'))

export function list<T>(item: Shape<T>, maxItems: number): Shape<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) wrong(path, 'a list')
    if (value.length > maxItems) wrong(path, `at most ${maxItems} items`)
    return value.map((entry: unknown, index) => item(entry, `${path}[${index}]`))
  }
}

export function record<T>(item: Shape<T>, maxEntries: number): Shape<Readonly<Record<string, T>>> {
  return (value, path) => {
    const entries = Object.entries(asObject(value, path))
    if (entries.length > maxEntries) wrong(path, `at most ${maxEntries} entries`)
    return Object.fromEntries(entries.map(([key, entry]) => [key, item(entry, `${path}.${key}`)]))
  }
}

type ObjectOf<R extends Shapes, O extends Shapes> = { readonly [K in keyof R]: Shaped<R[K]> } & {
  readonly [K in keyof O]?: Shaped<O[K]>
}

/** An object with required and optional fields; an optional field must be absent, not null. */
export function object<R extends Shapes, O extends Shapes = Record<never, never>>(
  required: R,
  optional?: O,
): Shape<ObjectOf<R, O>> {
  return (value, path) => {
    const source = asObject(value, path)
    const prefix = path === '' ? '' : `${path}.`
    const result: Record<string, unknown> = {}
    for (const [name, shape] of Object.entries(required)) result[name] = shape(own(source, name), prefix + name)
    for (const [name, shape] of Object.entries(optional ?? {})) {
      if (own(source, name) !== undefined) result[name] = shape(own(source, name), prefix + name)
    }
    return result as ObjectOf<R, O>
  }
}

/** A message told by its `type`; the shapes of `table` check the rest of it. */
export function tagged<T extends Shapes>(
  table: T,
): Shape<{ [K in keyof T & string]: { readonly type: K } & Shaped<T[K]> }[keyof T & string]> {
  return (value, path) => {
    const type = own(asObject(value, path), 'type')
    const shape = typeof type === 'string' && Object.hasOwn(table, type) ? table[type] : undefined
    if (shape === undefined) wrong(path === '' ? 'type' : `${path}.type`, `one of ${Object.keys(table).join(', ')}`)
    const checked = shape(value, path)
    return { type, ...(checked as object) } as never
  }
}

function own(source: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(source, name) ? source[name] : undefined
}

/** An object whose inside is judged elsewhere. */
export const anyObject: Shape<Readonly<Record<string, unknown>>> = asObject
