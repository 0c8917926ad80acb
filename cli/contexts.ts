// Several meshes in one kubeconfig: reads its contexts, names another one as current, puts another mesh into it. Comments and everything
// else that people have in the file stay. Used by `culvert context` and `culvert kubeconfig --merge`.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Document, isMap, isSeq, parseDocument, type YAMLMap } from 'yaml'
import { MeshError } from '../core/base/errors.ts'
import { didYouMean } from '../core/model/suggest.ts'

export interface ContextEntry {
  readonly name: string
  readonly current: boolean
  /** URL of the API. */
  readonly server: string
  readonly namespace: string
}

/** Contexts of a kubeconfig, in its order. Throws CONFIG_INVALID. */
export function contextsOf(file: string): readonly ContextEntry[] {
  const document = load(file)
  const current = document.get('current-context')
  return entries(document, 'contexts').map((entry) => {
    const context = entry.get('context')
    const cluster = isMap(context) ? context.get('cluster') : undefined
    const found = entries(document, 'clusters').find((candidate) => candidate.get('name') === cluster)
    const inner = found?.get('cluster')
    return {
      name: String(entry.get('name')),
      current: entry.get('name') === current,
      server: isMap(inner) ? String(inner.get('server') ?? '') : '',
      namespace: isMap(context) ? String(context.get('namespace') ?? 'default') : 'default',
    }
  })
}

/** Makes a context the current one. Throws CONFIG_INVALID where there is none of that name. */
export function useContext(file: string, name: string): void {
  const document = load(file)
  const names = entries(document, 'contexts').map((entry) => String(entry.get('name')))
  if (!names.includes(name)) {
    const known = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`
    throw new MeshError(
      'CONFIG_INVALID',
      `kubeconfig ${file} has no context "${name}"${didYouMean(name, names)}; ${known}`,
    )
  }
  document.set('current-context', name)
  store(file, document)
}

/** Puts the cluster, user and context of one kubeconfig into another, under `name`, and makes it current. */
export function mergeContext(file: string, addition: string, name: string): void {
  const document = existsSync(file) ? load(file) : parseDocument('apiVersion: v1\nkind: Config\n')
  const added = parseDocument(addition)
  for (const list of ['clusters', 'users', 'contexts'] as const) {
    const [entry] = entries(added, list)
    if (entry === undefined) continue
    entry.set('name', name)
    const context = entry.get('context')
    if (isMap(context)) for (const field of ['cluster', 'user']) context.set(field, name)
    put(document, list, entry, name)
  }
  document.set('current-context', name)
  store(file, document)
}

function put(document: Document, list: string, entry: YAMLMap, name: string): void {
  const present = document.get(list)
  if (!isSeq(present)) {
    document.set(list, [entry.toJSON()])
    return
  }
  const index = present.items.findIndex((item) => isMap(item) && item.get('name') === name)
  if (index < 0) present.add(document.createNode(entry.toJSON()))
  else present.set(index, document.createNode(entry.toJSON()))
}

function entries(document: Document, list: string): readonly YAMLMap[] {
  const found = document.get(list)
  return isSeq(found) ? found.items.filter((item) => isMap(item)) : []
}

function load(file: string): Document {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause: unknown) {
    const hint = 'make one with `culvert kubeconfig --state-dir DIR --merge FILE`'
    throw new MeshError('CONFIG_INVALID', `cannot read the kubeconfig ${file}; ${hint}`, { cause })
  }
  const document = parseDocument(text)
  const [fault] = document.errors
  if (fault !== undefined) throw new MeshError('CONFIG_INVALID', `kubeconfig ${file}: ${fault.message}`)
  return document
}

/** Whole or not at all, and readable by its owner only: it holds tokens. */
function store(file: string, document: Document): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${process.pid}.tmp`
  writeFileSync(temporary, document.toString(), { mode: 0o600 })
  if (existsSync(file)) chmodSync(temporary, statSync(file).mode & 0o600)
  renameSync(temporary, file)
}
