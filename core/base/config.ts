// Configuration: one row per field, in one exported table per process (`<process>/config.ts`). Values come from flags, then
// environment, then a file, then the row's default; all errors are reported together. docs/CONFIG.md is written from the rows.
import type { ConfigFile } from './config-file.ts'
import { MeshError } from './errors.ts'
import type { Parser } from './parsers.ts'

/** A field. `default` is written as a user would write it and goes through the same parser. */
export interface Row<T> {
  readonly parser: Parser<NonNullable<T>>
  readonly default: string | undefined
  readonly required: boolean
  readonly text: string
}

/** The fields of a process by camelCase name: `stateDir` is the flag `--state-dir` and the variable CULVERT_STATE_DIR. */
export type Rows = Readonly<Record<string, Row<unknown>>>

export type Config<R extends Rows> = { readonly [K in keyof R]: R[K] extends Row<infer T> ? T : never }

/** A field with a default. `text` is one sentence for the help and for docs/CONFIG.md. */
export function row<T>(parser: Parser<T>, defaultText: string, text: string): Row<T> {
  const result: Row<unknown> = {
    parser: parser as Parser<NonNullable<unknown>>,
    default: defaultText,
    required: false,
    text,
  }
  return result as Row<T>
}

/** A field that must be given. */
export function requiredRow<T>(parser: Parser<T>, text: string): Row<T> {
  return { parser: parser as Parser<NonNullable<T>>, default: undefined, required: true, text }
}

/** A field that may be left out. */
export function optionalRow<T>(parser: Parser<T>, text: string): Row<T | undefined> {
  return { parser: parser as Parser<NonNullable<T>>, default: undefined, required: false, text }
}

export interface ConfigSources {
  /** As yargs gives them: by kebab-case or camelCase name; names that are no rows are somebody else's. */
  readonly flags?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly file?: ConfigFile | undefined
}

/** `--state-dir` of `stateDir`. */
export function flagName(name: string): string {
  return `--${kebab(name)}`
}

/** `CULVERT_STATE_DIR` of `stateDir`. */
export function envName(name: string): string {
  return `CULVERT_${kebab(name).replaceAll('-', '_').toUpperCase()}`
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

interface Given {
  readonly value: string
  /** How an error names the place: `--state-dir`, `CULVERT_STATE_DIR` or `file:line:column: stateDir`. */
  readonly place: string
}

/**
 * Reads all rows. Throws one CONFIG_INVALID that lists every problem on its own line.
 * @returns the frozen configuration
 */
export function parseConfig<R extends Rows>(rows: R, sources: ConfigSources): Config<R> {
  const problems = unknownInFile(rows, sources.file)
  const values: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(rows)) {
    const given = find(name, field, sources)
    if (typeof given === 'string') problems.push(given)
    else if (given === undefined) {
      values[name] = undefined
      if (field.required) problems.push(`${flagName(name)} (or ${envName(name)}) is missing: ${field.text}`)
    } else {
      const parsed = field.parser.parse(given.value)
      if (parsed.ok) values[name] = freeze(parsed.value)
      else problems.push(`${given.place}: ${parsed.reason}`)
    }
  }
  if (problems.length > 0) throw new MeshError('CONFIG_INVALID', problems.join('\n'))
  return Object.freeze(values) as Config<R>
}

function freeze(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? Object.freeze(value) : value
}

/** The value of a row and where it was found; a text is a problem. */
function find(name: string, field: Row<unknown>, sources: ConfigSources): Given | string | undefined {
  const flags = sources.flags ?? {}
  const flag = flags[name] ?? flags[kebab(name)]
  if (flag !== undefined) {
    const text = flagText(flag)
    if (text === undefined) return `${flagName(name)}: given in a form that is not understood`
    return { value: text, place: flagName(name) }
  }
  const variable = sources.env?.[envName(name)]
  if (variable !== undefined && variable !== '') return { value: variable, place: envName(name) }
  const entry = sources.file?.entries.get(name)
  if (entry !== undefined) {
    const place = `${entry.place}: ${name}`
    return entry.value === undefined
      ? `${place}: must be a single value or a list of them`
      : { value: entry.value, place }
  }
  return field.default === undefined ? undefined : { value: field.default, place: `default of ${name}` }
}

function flagText(flag: unknown): string | undefined {
  if (typeof flag === 'string') return flag
  if (typeof flag === 'number' || typeof flag === 'boolean') return String(flag)
  if (Array.isArray(flag)) return flag.map(String).join(',')
  return undefined
}

function unknownInFile(rows: Rows, file: ConfigFile | undefined): string[] {
  if (file === undefined) return []
  const names = Object.keys(rows)
  const unknown = [...file.entries].filter(([name]) => !Object.hasOwn(rows, name))
  return [
    ...file.problems,
    ...unknown.map(([name, { place }]) => `${place}: unknown field ${name}; known are ${names.join(', ')}`),
  ]
}
