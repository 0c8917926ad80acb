// Label changes as kubectl writes them: `key=value` sets, `key-` removes. Pure; used by `culvert label`.
import { UsageError } from './session.ts'

export interface LabelChange {
  readonly key: string
  /** Absent: remove. */
  readonly value?: string
}

export type LabelResult =
  | { readonly ok: true; readonly changed: boolean; readonly labels: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly reason: string }

const keyPattern = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/
const valuePattern = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/

/** Splits the words of `label` into those that name objects and the changes behind them. Throws UsageError. */
export function parseLabelChanges(words: readonly string[]): {
  readonly names: readonly string[]
  readonly changes: readonly LabelChange[]
} {
  // `KIND NAME` come first; a name may end with "-" only in theory, and Kubernetes forbids it.
  const isChange = (word: string): boolean => word.includes('=') || word.endsWith('-')
  const at = words.findIndex(isChange)
  const split = at < 0 ? words.length : at
  const changes = words.slice(split).map(parseChange)
  const twice = changes.find((change, index) => changes.findIndex((other) => other.key === change.key) !== index)
  if (twice !== undefined) throw new UsageError(`label "${twice.key}" is given twice`)
  return { names: words.slice(0, split), changes }
}

function parseChange(word: string): LabelChange {
  const at = word.indexOf('=')
  if (at < 0 && !word.endsWith('-')) throw new UsageError(`"${word}" is neither KEY=VALUE nor KEY-`)
  const key = at < 0 ? word.slice(0, -1) : word.slice(0, at)
  if (!keyPattern.test(key)) throw new UsageError(`"${key}" is not a label key`)
  if (at < 0) return { key }
  const value = word.slice(at + 1)
  if (!valuePattern.test(value)) throw new UsageError(`"${value}" is not a label value`)
  return { key, value }
}

/** Applies changes. Another value is changed only with `overwrite`. */
export function changeLabels(
  labels: Readonly<Record<string, string>>,
  changes: readonly LabelChange[],
  overwrite: boolean,
): LabelResult {
  const result: Record<string, string> = { ...labels }
  let changed = false
  for (const { key, value } of changes) {
    const before = result[key]
    if (value === undefined) {
      changed ||= before !== undefined
      delete result[key]
    } else if (before !== value) {
      if (before !== undefined && !overwrite) {
        return { ok: false, reason: `"${key}" already has the value "${before}"; --overwrite changes it` }
      }
      result[key] = value
      changed = true
    }
  }
  return { ok: true, changed, labels: result }
}
