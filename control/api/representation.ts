// How objects leave the server: at the version that was asked for, as JSON or YAML, as themselves, as a list, or as the table
// that `kubectl get` prints.
import { stringify } from 'yaml'
import { isObject } from '../../core/model/field-check.ts'
import { cellValue } from '../../core/model/kinds/cell.ts'
import type { Column, Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { acceptedTypes, isJson, isYaml } from './accept.ts'
import { ApiError } from './errors.ts'

/** Objects as they are, rows of a table, or their metadata alone (`meta.k8s.io` Table and PartialObjectMetadata). */
export interface Representation {
  readonly encoding: 'json' | 'yaml'
  readonly table: boolean
  readonly partial: boolean
  /** Of Table and PartialObjectMetadata. */
  readonly metaVersion: 'v1' | 'v1beta1'
}

const partials = ['partialobjectmetadata', 'partialobjectmetadatalist']

/** The first acceptable of the Accept header's media types. Throws NotAcceptable where there is none. */
export function negotiate(accept: string | undefined): Representation {
  for (const range of acceptedTypes(accept)) {
    if (!isJson(range) && !isYaml(range)) continue
    const encoding = isYaml(range) ? 'yaml' : 'json'
    const { as, g = 'meta.k8s.io', v = 'v1' } = range.parameters
    if (as === undefined) return { encoding, table: false, partial: false, metaVersion: 'v1' }
    if (g !== 'meta.k8s.io' || (v !== 'v1' && v !== 'v1beta1')) continue
    if (as.toLowerCase() === 'table') return { encoding, table: true, partial: false, metaVersion: v }
    if (partials.includes(as.toLowerCase())) return { encoding, table: false, partial: true, metaVersion: v }
  }
  const accepted = 'application/json, application/yaml'
  throw new ApiError('NotAcceptable', `only the following media types are accepted: ${accepted}`)
}

/** Of answers that have one form only, errors among them. */
export function prefersYaml(accept: string | undefined): boolean {
  const first = acceptedTypes(accept).find((range) => isJson(range) || isYaml(range))
  return first !== undefined && isYaml(first)
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

/** `meta.k8s.io PartialObjectMetadata`: what garbage collectors and other readers of metadata ask for. */
export function partialOf(object: MeshObject, metaVersion: string): object {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${metaVersion}`, metadata: object.metadata }
}

/** Where a list stands (`metav1.ListMeta`). */
export interface ListPosition {
  readonly resourceVersion: string
  readonly continue?: string
  readonly remainingItemCount?: number
}

export function listOf(kind: Kind, apiVersion: string, items: readonly MeshObject[], metadata: ListPosition): object {
  const objects = items.map((object) => atVersion(object, apiVersion))
  return { kind: `${kind.kind}List`, apiVersion, metadata, items: objects }
}

export function partialListOf(items: readonly MeshObject[], metaVersion: string, metadata: ListPosition): object {
  const objects = items.map((object) => partialOf(object, metaVersion))
  return { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${metaVersion}`, metadata, items: objects }
}

export interface TableOptions {
  readonly apiVersion: string
  readonly metaVersion: string
  readonly position: ListPosition
  /** What a row carries of its object (`includeObject`). */
  readonly include: 'None' | 'Metadata' | 'Object'
  readonly nowMs: number
  /** A watch sends the columns with its first event only. */
  readonly columns: boolean
}

/** `meta.k8s.io/v1 Table`. */
export function tableOf(kind: Kind, objects: readonly MeshObject[], options: TableOptions): object {
  const priority = kind.nameIsWide === true ? 1 : 0
  const name = { name: 'Name', type: 'string', format: 'name', description: 'Name of the object.', priority }
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
    apiVersion: `meta.k8s.io/${options.metaVersion}`,
    metadata: options.position,
    columnDefinitions: options.columns ? [name, ...others] : [],
    rows: objects.map((object) => rowOf(kind, object, options)),
  }
}

function rowOf(kind: Kind, object: MeshObject, options: TableOptions): object {
  const cells = [object.metadata.name, ...kind.columns.map((column) => cellOf(column, object, options.nowMs))]
  if (options.include === 'None') return { cells }
  const whole = options.include === 'Object'
  return { cells, object: whole ? atVersion(object, options.apiVersion) : partialOf(object, options.metaVersion) }
}

function cellOf(column: Column, object: MeshObject, nowMs: number): string {
  const found = cellValue(object, column)
  if (column.type === 'date') return typeof found === 'string' ? ageOf(nowMs - Date.parse(found)) : '<unknown>'
  const text = cellText(found)
  return text === '' ? '<none>' : text
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
