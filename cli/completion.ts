// What bash and zsh are offered beyond commands and options: kinds, names of objects, namespaces, contexts, labs and what is in them,
// and files where a file stands (by offering nothing, which makes the shell complete files). Called by commands/all.ts.
import { kinds } from '../core/model/kinds.ts'

/** What only a mesh, a kubeconfig or this machine can tell. Each rejects where there is nobody to ask. */
export interface CompletionSource {
  /** Of a kind by any of its names, in a namespace. */
  names(kind: string, namespace: string | undefined): Promise<readonly string[]>
  namespaces(): Promise<readonly string[]>
  contexts(): Promise<readonly string[]>
  /** `NAME.NAMESPACE` of the workloads and services of the mesh. */
  ends(): Promise<readonly string[]>
  labs(): Promise<readonly string[]>
  /** `NAME.NAMESPACE` of the workloads of a lab. */
  labWorkloads(lab: string): Promise<readonly string[]>
  /** The processes of a lab, as `lab stop` names them. */
  labProcesses(lab: string): Promise<readonly string[]>
}

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
  '--merge',
]
const takesNamespace = ['-n', '--namespace']
/** Further options with a value: it is none of the names that a command takes. */
const takesValue = [
  ...takesFile,
  ...takesNamespace,
  ...['--context', '--name', '-l', '--selector', '--field-selector', '--sort-by', '-o', '--output', '--interval'],
  ...['--timeout', '--host', '--identity', '--ttl', '--cidr', '--token', '--control', '--level', '--fail-at'],
]

/** `words` of the command line up to the cursor, `culvert` first. Undefined: commands and options, as always. */
export async function ownCompletions(
  words: readonly string[],
  source: CompletionSource,
): Promise<readonly string[] | undefined> {
  const current = words.at(-1) ?? ''
  const found = await candidates(words, current, source).catch(() => [])
  return found?.filter((name) => name.startsWith(current))
}

async function candidates(
  words: readonly string[],
  current: string,
  source: CompletionSource,
): Promise<readonly string[] | undefined> {
  const option = words.length > 2 ? (words.at(-2) ?? '') : ''
  if (takesFile.includes(option)) return []
  if (takesNamespace.includes(option)) return await source.namespaces()
  if (option === '--context') return await source.contexts()
  if (option === '--name' && words[1] === 'lab') return await source.labs()
  if (option.startsWith('-') && takesValue.includes(option)) return undefined
  if (current.startsWith('-')) return undefined
  return await ofCommand(positionals(words.slice(1, -1)), words, current, source)
}

/** `before`: the words before the cursor that are neither options nor their values, the command first. */
function ofCommand(
  before: readonly string[],
  words: readonly string[],
  current: string,
  source: CompletionSource,
): Promise<readonly string[]> | undefined {
  const [command = '', ...rest] = before
  if (takesKind.includes(command)) return ofKinds(command, rest, words, current, source)
  if (command === 'explain' && rest.length < 2) return source.ends()
  if (command === 'context' && rest.length === 1 && rest[0] === 'use') return source.contexts()
  if (command === 'completion' && rest.length === 0) return Promise.resolve(['bash', 'zsh'])
  if (command !== 'lab' || rest.length !== 1) return undefined
  const lab = optionOf(words, ['--name']) ?? 'lab'
  if (rest[0] === 'exec') return source.labWorkloads(lab)
  return ['stop', 'start', 'replace'].includes(rest[0]!) ? source.labProcesses(lab) : undefined
}

async function ofKinds(
  command: string,
  before: readonly string[],
  words: readonly string[],
  current: string,
  source: CompletionSource,
): Promise<readonly string[]> {
  const namespace = optionOf(words, takesNamespace)
  const [kind] = before
  const slash = current.indexOf('/')
  if (slash > 0) {
    const prefix = current.slice(0, slash)
    return (await source.names(prefix, namespace)).map((name) => `${prefix}/${name}`)
  }
  if (kind === undefined) {
    const start = current.slice(0, current.lastIndexOf(',') + 1)
    return kinds.map(({ plural }) => `${start}${plural}`)
  }
  // behind the name stand labels
  if (kind.includes('/') || kind.includes(',') || (command === 'label' && before.length > 1)) return []
  const names = await source.names(kind, namespace)
  return names.filter((name) => !before.includes(name))
}

function positionals(words: readonly string[]): readonly string[] {
  return words.filter((word, index) => {
    const option = words[index - 1] ?? ''
    return !word.startsWith('-') && !takesValue.includes(option)
  })
}

/** The value of an option of the command line, in either of its forms. */
export function optionOf(words: readonly string[], names: readonly string[]): string | undefined {
  for (const [index, word] of words.entries()) {
    if (names.includes(word)) return words[index + 1]
    const equals = word.indexOf('=')
    if (equals > 0 && names.includes(word.slice(0, equals))) return word.slice(equals + 1)
  }
  return undefined
}
