// What bash and zsh are offered beyond commands and options: kinds where a kind stands, and files where a file stands (by
// offering nothing, which makes the shell complete files). Called by commands/all.ts.
import { kinds } from '../core/model/kinds.ts'

const takesKind = ['get', 'describe', 'delete', 'label']
const takesFile = [
  '-f',
  '--filename',
  '--kubeconfig',
  '--state-dir',
  '--run-dir',
  '--workloads-dir',
  '--config',
  '--config-file',
  '--token-file',
]

/** `words` of the command line up to the cursor, `culvert` first. Undefined: commands and options, as always. */
export function ownCompletions(words: readonly string[]): readonly string[] | undefined {
  const current = words.at(-1) ?? ''
  if (words.length > 2 && takesFile.includes(words.at(-2)!)) return []
  if (words.length !== 3 || !takesKind.includes(words[1]!) || current.startsWith('-')) return undefined
  const start = current.slice(0, current.lastIndexOf(',') + 1)
  return kinds.map((kind) => `${start}${kind.plural}`).filter((name) => name.startsWith(current))
}
