// How the CLI writes: tables as kubectl's, ages, colours only on a terminal. Pure but for the question whether there is one.
import type { WriteStream } from 'node:tty'
import { cellValue } from '../core/model/kinds/cell.ts'
import type { Column } from '../core/model/kinds/kind.ts'
import type { MeshObject } from '../core/model/resource.ts'

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim'

const codes: Readonly<Record<Colour, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
  bold: [1, 22],
  dim: [2, 22],
}

/** Paints text, or leaves it where the output is no terminal or NO_COLOR is set. */
export type Paint = (colour: Colour, text: string) => string

export function painter(
  stream: Pick<WriteStream, 'isTTY'>,
  environment: Readonly<Record<string, string | undefined>>,
): Paint {
  const plain = stream.isTTY !== true || (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb'
  if (plain) return (_, text) => text
  return (colour, text) => `\x1b[${codes[colour][0]}m${text}\x1b[${codes[colour][1]}m`
}

/** Left-aligned columns, three spaces apart. An empty cell is `<none>`. */
export function table(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [headers, ...rows].map((row) => row.map((cell) => (cell === '' ? '<none>' : cell)))
  const widths = headers.map((_, index) => Math.max(...cells.map((row) => (row[index] ?? '').length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd((widths[index] ?? 0) + 3)))
      .join('')
      .trimEnd()
  return `${cells.map(line).join('\n')}\n`
}

/** `45s`, `12m`, `3h`, `3h5m`, `2d4h`, `400d`: as kubectl prints ages. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (seconds < 120) return `${seconds}s`
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`
  if (hours < 3) return `${minutes}m`
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`
  if (days < 2) return `${hours}h`
  if (days < 8) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`
  return `${days}d`
}

/** The cell of a column: the scalar at its path, lists joined with commas, maps as `key=value`. */
export function cell(object: MeshObject, column: Column, now: number): string {
  const value = cellValue(object, column)
  if (column.type === 'date') {
    const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
    return Number.isNaN(time) ? '<unknown>' : age(now - time)
  }
  return show(value)
}

function show(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (Array.isArray(value)) return value.map(show).join(',')
  if (typeof value === 'object') {
    return Object.entries(value)
      .map(([key, part]) => `${key}=${show(part)}`)
      .join(',')
  }
  return String(value)
}

export interface TableOptions {
  readonly namespaces: boolean
  readonly wide: boolean
  /** Milliseconds since 1970. */
  readonly now: number
  readonly labels?: boolean
  /** The name is nobody's choice and stands in the wide form only. */
  readonly nameIsWide?: boolean
  /** Before each name, where several kinds are printed. */
  readonly prefix?: string
}

/** Rows for `get`: namespace (with -A), name, the kind's columns. */
export function objectTable(
  objects: readonly MeshObject[],
  columns: readonly Column[],
  options: TableOptions,
): { readonly headers: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const shown = columns.filter((column) => options.wide || column.priority === 0)
  const named = options.wide || options.nameIsWide !== true
  const headers = [...(named ? ['NAME'] : []), ...shown.map((column) => column.name.toUpperCase())]
  const rows = objects.map((object) => [
    ...(named ? [`${options.prefix ?? ''}${object.metadata.name}`] : []),
    ...shown.map((column) => cell(object, column, options.now)),
  ])
  const withLabels = options.labels === true
  const allHeaders = withLabels ? [...headers, 'LABELS'] : headers
  const allRows = rows.map((row, index) => (withLabels ? [...row, show(objects[index]?.metadata.labels)] : row))
  if (!options.namespaces) return { headers: allHeaders, rows: allRows }
  return {
    headers: ['NAMESPACE', ...allHeaders],
    rows: allRows.map((row, index) => [objects[index]?.metadata.namespace ?? '', ...row]),
  }
}
