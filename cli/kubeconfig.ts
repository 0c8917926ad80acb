// Reads a kubeconfig: where the API server is, which CA signs it, and who the caller is. Used by client.ts.
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parse } from 'yaml'
import { MeshError } from '../core/base/errors.ts'

/** What a client needs of a kubeconfig context. */
export interface Connection {
  readonly server: URL
  readonly ca?: string
  readonly token?: string
  readonly certificate?: string
  readonly key?: string
  /** Namespace of the context, for commands without `-n`. */
  readonly namespace?: string
  readonly serverName?: string
  /** Where this was read from, for messages. */
  readonly source: string
}

export interface KubeconfigChoice {
  readonly kubeconfig?: string | undefined
  readonly stateDir?: string | undefined
  readonly context?: string | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The kubeconfig file that a command means: --kubeconfig, --state-dir, CULVERT_KUBECONFIG, the first existing file of KUBECONFIG,
 * ~/.kube/config.
 */
export function kubeconfigFile(choice: KubeconfigChoice, environment: Environment): string {
  if (choice.kubeconfig !== undefined) return choice.kubeconfig
  if (choice.stateDir !== undefined) return join(choice.stateDir, 'kubeconfig')
  const own = environment['CULVERT_KUBECONFIG']
  return own !== undefined && own !== '' ? own : kubectlFile(environment)
}

/** The file that kubectl means where nothing is said: the first of KUBECONFIG, else ~/.kube/config. */
export function kubectlFile(environment: Environment): string {
  const first = environment['KUBECONFIG']?.split(':').find((file) => file !== '')
  return first ?? join(environment['HOME'] ?? homedir(), '.kube', 'config')
}

/** Reads the chosen kubeconfig. Throws CONFIG_INVALID that names the file and says how to get one. */
export function readConnection(choice: KubeconfigChoice, environment: Environment = process.env): Connection {
  const file = kubeconfigFile(choice, environment)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause: unknown) {
    throw new MeshError('CONFIG_INVALID', `cannot read the kubeconfig ${file}: ${unreadable(cause)}`, { cause })
  }
  return parseKubeconfig(text, file, choice.context)
}

function unreadable(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'EACCES') return 'permission denied: it belongs to another user, often root'
  const hint =
    'make one with `culvert kubeconfig --state-dir DIR > FILE` (a lab has one: `culvert lab status`) and name it with ' +
    '--kubeconfig or CULVERT_KUBECONFIG'
  return code === 'ENOENT' ? `no such file; ${hint}` : `${String(code ?? cause)}; ${hint}`
}

/** Parses a kubeconfig. Relative file names in it are relative to its folder. Throws CONFIG_INVALID. */
export function parseKubeconfig(text: string, file: string, contextName?: string): Connection {
  const config = asMap(parseYaml(text, file), file, 'the file')
  const name = contextName ?? textOf(config['current-context'])
  const contexts = named(config['contexts'], 'context')
  const context = name === undefined ? single(contexts) : contexts.get(name)
  if (context === undefined) throw invalid(file, `has no context "${name ?? ''}"`)
  const cluster = named(config['clusters'], 'cluster').get(textOf(context['cluster']) ?? '')
  if (cluster === undefined) throw invalid(file, `has no cluster "${textOf(context['cluster']) ?? ''}"`)
  const user = named(config['users'], 'user').get(textOf(context['user']) ?? '') ?? {}
  const read = (map: Map_, key: string): string | undefined => material(map, key, file)
  return {
    server: serverUrl(textOf(cluster['server']), file),
    source: file,
    ...present('ca', read(cluster, 'certificate-authority')),
    ...present('serverName', textOf(cluster['tls-server-name'])),
    ...present('token', textOf(user['token']) ?? tokenFile(user, file)),
    ...present('certificate', read(user, 'client-certificate')),
    ...present('key', read(user, 'client-key')),
    ...present('namespace', textOf(context['namespace'])),
  }
}

type Map_ = Readonly<Record<string, unknown>>

function parseYaml(text: string, file: string): unknown {
  try {
    return parse(text)
  } catch (cause: unknown) {
    throw new MeshError('CONFIG_INVALID', `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

function present<K extends string>(key: K, value: string | undefined): { readonly [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: string })
}

function serverUrl(text: string | undefined, file: string): URL {
  const url = text === undefined ? null : URL.parse(text)
  if (url === null) throw invalid(file, `has no usable server address: "${text ?? ''}"`)
  if (url.protocol !== 'https:') throw invalid(file, `names ${url.href}; the API is served over https only`)
  return url
}

/** `<key>-data` (base64) or the file that `<key>` names. */
function material(map: Map_, key: string, file: string): string | undefined {
  const data = textOf(map[`${key}-data`])
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8')
  const path = textOf(map[key])
  return path === undefined ? undefined : readBeside(path, file)
}

function tokenFile(user: Map_, file: string): string | undefined {
  const path = textOf(user['tokenFile'])
  return path === undefined ? undefined : readBeside(path, file).trim()
}

function readBeside(path: string, file: string): string {
  const full = resolve(dirname(file), path)
  try {
    return readFileSync(full, 'utf8')
  } catch (cause: unknown) {
    throw new MeshError('CONFIG_INVALID', `${file} names ${full}, which cannot be read`, { cause })
  }
}

/** A kubeconfig's list of `{name, <field>: {...}}` as a map. */
function named(list: unknown, field: string): ReadonlyMap<string, Map_> {
  const result = new Map<string, Map_>()
  if (!Array.isArray(list)) return result
  for (const item of list as readonly unknown[]) {
    if (!isMap(item)) continue
    const name = textOf(item['name'])
    const value = item[field]
    if (name !== undefined && isMap(value)) result.set(name, value)
  }
  return result
}

function single(map: ReadonlyMap<string, Map_>): Map_ | undefined {
  return map.size === 1 ? [...map.values()][0] : undefined
}

function isMap(value: unknown): value is Map_ {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asMap(value: unknown, file: string, what: string): Map_ {
  if (isMap(value)) return value
  throw invalid(file, `is not a kubeconfig: ${what} is not a map`)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function invalid(file: string, what: string): MeshError {
  return new MeshError('CONFIG_INVALID', `kubeconfig ${file} ${what}`)
}
