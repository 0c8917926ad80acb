// Small structural checks for compiled resources that arrive from outside: each names the first wrong field or accepts.
// Used by compiled-schema.ts. Values are checked in place and never copied, since a mesh may hold tens of thousands.

/** Returns why `value` at `path` is wrong, or undefined. */
export type Check = (value: unknown, path: string) => string | undefined

function wrong(path: string, expected: string): string {
  return `${path === '' ? 'value' : path}: expected ${expected}`
}

/** A string of `min` to `max` UTF-16 units. */
export function text(min: number, max: number): Check {
  return (value, path) =>
    typeof value === 'string' && value.length >= min && value.length <= max
      ? undefined
      : wrong(path, `a string of ${min} to ${max} characters`)
}

/** A string for which `valid` holds; `what` names it in the reason. */
export function textLike(valid: (text: string) => boolean, what: string): Check {
  return (value, path) => (typeof value === 'string' && valid(value) ? undefined : wrong(path, what))
}

export function integer(min: number, max: number): Check {
  return (value, path) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? undefined
      : wrong(path, `an integer from ${min} to ${max}`)
}

/** A weight: 0 to 10⁹, so that sums of many stay exact. */
export const share: Check = (value, path) =>
  typeof value === 'number' && value >= 0 && value <= 1e9 ? undefined : wrong(path, 'a number from 0 to 10⁹')

export const boolean: Check = (value, path) => (typeof value === 'boolean' ? undefined : wrong(path, 'a boolean'))

export function oneOf(...values: readonly string[]): Check {
  return (value, path) =>
    typeof value === 'string' && values.includes(value) ? undefined : wrong(path, `one of ${values.join(', ')}`)
}

export function list(item: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value)) return wrong(path, 'a list')
    for (let index = 0; index < value.length; index++) {
      const reason = item(value[index], `${path}[${index}]`)
      if (reason !== undefined) return reason
    }
    return undefined
  }
}

/** An object of one of several forms, told apart by the word in its field `by`. */
export function union(by: string, forms: Readonly<Record<string, Check>>): Check {
  const words = oneOf(...Object.keys(forms))
  return (value, path) => {
    if (!isObject(value)) return wrong(path, 'an object')
    const word = Object.hasOwn(value, by) ? value[by] : undefined
    const reason = words(word, path === '' ? by : `${path}.${by}`)
    return reason ?? forms[word as string]?.(value, path)
  }
}

/** An object used as a map. */
export function record(key: Check, item: Check): Check {
  return (value, path) => {
    if (!isObject(value)) return wrong(path, 'an object')
    for (const name of Object.keys(value)) {
      const reason = key(name, `${path} key`) ?? item(value[name], `${path}.${name}`)
      if (reason !== undefined) return reason
    }
    return undefined
  }
}

/** An object with these fields. `closed` refuses further ones: for rules, a field that is not understood is a lost condition. */
export function object(
  required: Readonly<Record<string, Check>>,
  optional: Readonly<Record<string, Check>> = {},
  closed = false,
): Check {
  const requiredFields = Object.entries(required)
  const optionalFields = Object.entries(optional)
  return (value, path) => {
    if (!isObject(value)) return wrong(path, 'an object')
    const prefix = path === '' ? '' : `${path}.`
    for (const [name, check] of requiredFields) {
      const reason = check(Object.hasOwn(value, name) ? value[name] : undefined, prefix + name)
      if (reason !== undefined) return reason
    }
    for (const [name, check] of optionalFields) {
      if (!Object.hasOwn(value, name) || value[name] === undefined) continue
      const reason = check(value[name], prefix + name)
      if (reason !== undefined) return reason
    }
    return closed ? unknownField(value, prefix, required, optional) : undefined
  }
}

function unknownField(
  value: Readonly<Record<string, unknown>>,
  prefix: string,
  ...known: readonly Readonly<Record<string, Check>>[]
): string | undefined {
  const name = Object.keys(value).find((field) => !known.some((fields) => Object.hasOwn(fields, field)))
  return name === undefined ? undefined : `${prefix}${name}: unknown field`
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
