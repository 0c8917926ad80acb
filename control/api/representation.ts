// How objects leave the server: at the version that was asked for, as JSON or YAML, as themselves, as a list, or as the table
// that `kubectl get` prints.
import { stringify } from 'yaml'
import { isObject } from '../../core/model/field-check.ts'
import type { Column, Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { ApiError } from './errors.ts'

export interface Representation {
  readonly encoding: 'json' | 'yaml'
  readonly table: boolean
}

/** The first acceptable of the Accept header's media types. Throws NotAcceptable where there is none. */
export function negotiate(accept: string | undefined): Representation {
  const wanted = (accept ?? '*/*').split(',').map((entry) =>
    entry
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/),
  )
  for (const [type, ...parameters] of wanted) {
    const as = parameters.find((parameter) => parameter.startsWith('as='))
    const plain = as === undefined
    if (type === 'application/json' && as === 'as=table') return { encoding: 'json', table: true }
    if (!plain) continue
    if (type === 'application/yaml') return { encoding: 'yaml', table: false }
    if (['application/json', 'application/*', '*/*', ''].includes(type ?? '')) return { encoding: 'json', table: false }
  }
  throw new ApiError('NotAcceptable', 'only application/json and application/yaml can be returned')
}

export function encode(
  body: unknown,
  encoding: Representation['encoding'],
): { readonly type: string; readonly text: string } {
  return encoding === 'yaml'
    ? { type: 'application/yaml', text: stringify(body, { aliasDuplicateObjects: false }) }
    : { type: 'application/json', text: `${JSON.stringify(body)}\n` }
}

/** The object at another of its versions: they have the same fields. */
export function atVersion(object: MeshObject, apiVersion: string): MeshObject {
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion }
}

export function listOf(kind: Kind, apiVersion: string, items: readonly MeshObject[], revision: number): object {
  const objects = items.map((object) => atVersion(object, apiVersion))
  return { kind: `${kind.kind}List`, apiVersion, metadata: { resourceVersion: String(revision) }, items: objects }
}

export interface TableOptions {
  readonly apiVersion: string
  readonly resourceVersion: string
  /** What a row carries of its object (`includeObject`). */
  readonly include: 'None' | 'Metadata' | 'Object'
  readonly nowMs: number
  /** A watch sends the columns with its first event only. */
  readonly columns: boolean
}

/** `meta.k8s.io/v1 Table`. */
export function tableOf(kind: Kind, objects: readonly MeshObject[], options: TableOptions): object {
  const name = { name: 'Name', type: 'string', format: 'name', description: 'Name of the object.', priority: 0 }
  const others = kind.columns.map(({ name, type, text, priority }) => ({
    name,
    // the age is computed here: kubectl prints cells as they are
    type: type === 'date' ? 'string' : type,
    format: '',
    description: text,
    priority,
  }))
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion: options.resourceVersion },
    columnDefinitions: options.columns ? [name, ...others] : [],
    rows: objects.map((object) => rowOf(kind, object, options)),
  }
}

function rowOf(kind: Kind, object: MeshObject, options: TableOptions): object {
  const cells = [object.metadata.name, ...kind.columns.map((column) => cellOf(column, object, options.nowMs))]
  if (options.include === 'None') return { cells }
  const full = atVersion(object, options.apiVersion)
  const partial = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }
  return { cells, object: options.include === 'Object' ? full : partial }
}

function cellOf(column: Column, object: MeshObject, nowMs: number): string {
  const found = column.path.reduce<unknown>((value, part) => step(value, part), object)
  if (column.type === 'date') return typeof found === 'string' ? ageOf(nowMs - Date.parse(found)) : '<unknown>'
  const text = cellText(found)
  return text === '' ? '<none>' : text
}

/** One step of a path; over a list it is taken in every item. */
function step(value: unknown, part: string): unknown {
  if (Array.isArray(value)) return value.map((item) => step(item, part))
  return isObject(value) ? value[part] : undefined
}

function cellText(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (Array.isArray(value)) return value.map(cellText).join(',')
  if (!isObject(value)) return String(value)
  return Object.entries(value)
    .map(([key, entry]) => `${key}=${String(entry)}`)
    .join(',')
}

/** As kubectl prints ages: `45s`, `12m`, `5h12m`, `3d4h`, `90d`. */
export function ageOf(ms: number): string {
  if (Number.isNaN(ms)) return '<unknown>'
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return withRest(`${minutes}m`, seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return withRest(`${hours}h`, minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.floor(hours / 24)
  return days < 8 ? withRest(`${days}d`, hours % 24, 'h') : `${days}d`
}

function withRest(text: string, rest: number, unit: string): string {
  return rest === 0 ? text : `${text}${rest}${unit}`
}
