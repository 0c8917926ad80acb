// A configuration file: a YAML mapping of row names to values. Keeps the place of every value, so that errors can name
// file:line:column. `app.ts` reads it and hands it to `parseConfig`; nothing else imports the YAML parser for configuration.
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'

export interface ConfigFileEntry {
  /** The value as a flag would give it; undefined where the file holds a mapping or nothing. */
  readonly value: string | undefined
  /** `file:line:column` */
  readonly place: string
}

export interface ConfigFile {
  readonly entries: ReadonlyMap<string, ConfigFileEntry>
  /** What is wrong with the file itself, each with file:line:column. */
  readonly problems: readonly string[]
}

/** Never throws: what is wrong becomes `problems`, which `parseConfig` reports with everything else. */
export function readConfigFile(text: string, file: string): ConfigFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false })
  const placeAt = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const problems = document.errors.map((error) => `${placeAt(error.pos[0])}: ${error.message}`)
  const entries = new Map<string, ConfigFileEntry>()
  const root = document.contents
  if (isMap(root)) {
    for (const { key, value } of root.items) {
      if (!isScalar(key)) continue
      const node = (value ?? key) as Node
      entries.set(String(key.value), { value: valueText(value), place: placeAt(node.range?.[0] ?? 0) })
    }
  } else if (root !== null && problems.length === 0) {
    problems.push(`${placeAt(root.range?.[0] ?? 0)}: must be a mapping of field names to values`)
  }
  return { entries, problems }
}

function valueText(value: unknown): string | undefined {
  if (isScalar(value)) {
    // The source text, so that `10s`, 0x10 and 1e3 mean what they mean as a flag.
    if (value.value === null) return undefined
    return typeof value.value === 'string' ? value.value : (value.source ?? String(value.value))
  }
  if (!isSeq(value)) return undefined
  const items = value.items.map(valueText)
  return items.every((item) => item !== undefined) ? items.join(',') : undefined
}
