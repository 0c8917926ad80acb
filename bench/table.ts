// The results as text for a terminal: one line per metric, one column per subject, then Culvert's ratio to each of the others. Pure.
import { median, ratio, type Series } from './results.ts'

export function renderTable(all: readonly Series[], subjects: readonly string[], of: string): string {
  const others = subjects.includes(of) ? subjects.filter((subject) => subject !== of) : []
  const head = ['scenario', 'metric', 'unit', '', ...subjects, ...others.map((other) => `/${other}`)]
  const lines = all
    .filter((series) => subjects.some((subject) => series.subjects.has(subject)))
    .map((series) => [
      series.scenario,
      series.metric,
      series.unit,
      series.better === 'higher' ? '↑' : '↓',
      ...subjects.map((subject) => cell(series, subject)),
      ...others.map((other) => ratio(series, of, other)?.toFixed(2) ?? '-'),
    ])
  return align([head, ...lines], 4)
}

function cell(series: Series, subject: string): string {
  const rounds = series.subjects.get(subject)
  return rounds === undefined ? '-' : figure(median([...rounds.values()]))
}

/** Three digits or more, never an exponent. */
export function figure(value: number): string {
  const size = Math.abs(value)
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

/** Columns two spaces apart: the first `left` flush left, the others flush right. */
function align(rows: readonly (readonly string[])[], left: number): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]): string =>
    row
      .map((text, column) => (column < left ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)))
      .join('  ')
  return `${rows.map((row) => line(row).trimEnd()).join('\n')}\n`
}
