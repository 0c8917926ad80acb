// What every API command shares: the options that find the server, the connected client, and where output goes.
import type { Argv } from 'yargs'
import type { Kind } from '../core/model/kinds/kind.ts'
import { kinds } from '../core/model/kinds.ts'
import { didYouMean } from '../core/model/suggest.ts'
import { ApiClient } from './client.ts'
import { readConnection } from './kubeconfig.ts'
import { type Paint, painter } from './render.ts'

/** The command line asks for something that cannot be: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Thrown after a command has written its own complaints: exit code 1 and nothing more to say. */
export class Failed extends Error {
  override readonly name = 'Failed'
}

export interface ApiArguments {
  readonly kubeconfig?: string | undefined
  readonly stateDir?: string | undefined
  readonly context?: string | undefined
}

export function apiOptions<T>(yargs: Argv<T>): Argv<T & ApiArguments> {
  return yargs
    .option('kubeconfig', { type: 'string', describe: 'kubeconfig file (default: CULVERT_KUBECONFIG, KUBECONFIG)' })
    .option('state-dir', { type: 'string', describe: 'state directory of a control plane on this machine' })
    .option('context', { type: 'string', describe: 'context of the kubeconfig' }) as unknown as Argv<T & ApiArguments>
}

export interface NamespaceArguments {
  readonly namespace?: string | undefined
}

export function namespaceOption<T>(yargs: Argv<T>): Argv<T & NamespaceArguments> {
  const describe = 'namespace (default: that of the context, else "default")'
  return yargs.option('namespace', { alias: 'n', type: 'string', describe }) as unknown as Argv<T & NamespaceArguments>
}

/** Runs a command with a client and closes it afterwards. What the server warns of is said once, on stderr. */
export async function withClient<T>(argv: ApiArguments, work: (client: ApiClient) => Promise<T>): Promise<T> {
  const told = new Set<string>()
  const client = new ApiClient(readConnection(argv), undefined, (text) => {
    if (!told.has(text)) complain(`${painter(process.stderr, process.env)('yellow', 'Warning:')} ${text}`)
    told.add(text)
  })
  try {
    return await work(client)
  } finally {
    client.close()
  }
}

export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

export function complain(text: string): void {
  process.stderr.write(text.endsWith('\n') ? text : `${text}\n`)
}

/**
 * Aborts when the person goes away: Ctrl-C, SIGTERM, a closed terminal or pipe. For commands that build something and take it
 * down again when interrupted; an impatient second Ctrl-C does not keep them from doing so.
 */
export function interruption(): AbortSignal {
  const abort = new AbortController()
  const stop = (): void => abort.abort()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', stop)
  return abort.signal
}

export function paint(): Paint {
  return painter(process.stdout, process.env)
}

/** A kind by plural, singular, short name or kind, in any case, also with its group (`ap.security.istio.io`). */
export function findKind(text: string): Kind {
  const wanted = text.toLowerCase()
  const found = kinds.find((kind) => kindNames(kind).includes(wanted))
  if (found !== undefined) return found
  const plurals = kinds.map((kind) => kind.plural)
  throw new UsageError(
    `no kind "${text}"${didYouMean(wanted, kinds.flatMap(kindNames))}; kinds are ${plurals.join(', ')}`,
  )
}

function kindNames(kind: Kind): readonly string[] {
  const names = [kind.plural, kind.singular, kind.kind.toLowerCase(), ...kind.shortNames]
  return kind.group === '' ? names : [...names, ...names.map((name) => `${name}.${kind.group}`)]
}

export interface Target {
  readonly kind: Kind
  /** Empty: all of the kind. */
  readonly names: readonly string[]
}

/** `KIND NAME…`, `KIND/NAME…` and `KIND,KIND`, as kubectl takes them. */
export function parseTargets(words: readonly string[]): readonly Target[] {
  const [first, ...rest] = words
  if (first === undefined) throw new UsageError('name a kind, such as services')
  if (words.some((word) => word.includes('/'))) {
    return words.map((word) => {
      const [kind = '', name = '', ...more] = word.split('/')
      if (kind === '' || name === '' || more.length > 0) throw new UsageError(`"${word}" is not KIND/NAME`)
      return { kind: findKind(kind), names: [name] }
    })
  }
  const found =
    first === 'all' ? kinds.filter((kind) => kind.categories.includes('all')) : first.split(',').map(findKind)
  if (found.length > 1 && rest.length > 0) throw new UsageError('names need a single kind')
  return found.map((kind) => ({ kind, names: rest }))
}
