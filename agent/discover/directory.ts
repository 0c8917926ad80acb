// Workloads from a watched directory: one file each. A file that becomes bad keeps its previous good definition; a
// workload whose network namespace is gone is gone. Used by app.ts as the agent's Discoverer.
import { type FSWatcher, mkdirSync, readFileSync, watch } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../../core/base/log.ts'
import { canonicalAddress } from '../../core/net/address.ts'
import { interfaceAddresses, NetworkNamespace } from '../../core/net/sys.ts'
import { inodeOf } from '../redirect/pins.ts'
import { parseDefinition, type WorkloadDefinition } from './definition.ts'
import type { DiscoveredWorkload, Discoverer } from './discoverer.ts'

export interface DirectoryOptions {
  readonly directory: string
  readonly rescanMs: number
  readonly log: Logger
  /** The host's resolv.conf, for workloads that name no resolvers. */
  readonly resolvConf?: string
  readonly lookInto?: (path: string) => NamespaceFacts | undefined
}

export interface NamespaceFacts {
  readonly inode: number
  readonly addresses: readonly string[]
}

interface FileState {
  readonly text: string
  /** The last good one. */
  readonly definition: WorkloadDefinition | undefined
}

const extensions = /\.(ya?ml|json)$/i
/** Several events of one save become one scan. */
const settleMs = 50

export class WorkloadDirectory implements Discoverer {
  readonly #options: DirectoryOptions
  readonly #lookInto: (path: string) => NamespaceFacts | undefined
  readonly #files = new Map<string, FileState>()
  /** What was last said about a file, so that it is said once. */
  readonly #said = new Map<string, string>()
  /** Redirecting the agent's own namespace would cut the host off. */
  readonly #ownInode = inodeOf('/proc/self/ns/net')
  #workloads: readonly DiscoveredWorkload[] = []
  #onChange: () => void = () => {}
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #settle: NodeJS.Timeout | undefined
  #scan: Promise<void> | undefined
  #again = false
  #closed = false

  constructor(options: DirectoryOptions) {
    this.#options = options
    this.#lookInto = options.lookInto ?? lookIntoNamespace
  }

  get workloads(): readonly DiscoveredWorkload[] {
    return this.#workloads
  }

  async start(onChange: () => void): Promise<void> {
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o755 })
    await this.rescan()
    this.#onChange = onChange
    this.#watcher = watch(this.#options.directory, () => this.#soon())
    this.#watcher.on('error', (error) =>
      this.#options.log.warn({ err: error }, 'the workload directory is not watched'),
    )
    this.#timer = setInterval(() => void this.rescan(), this.#options.rescanMs)
  }

  /** Looks again now. A scan that is under way is followed by another one. */
  rescan(): Promise<void> {
    if (this.#scan !== undefined) this.#again = true
    this.#scan ??= this.#scanUntilQuiet()
    return this.#scan
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#watcher?.close()
    clearInterval(this.#timer)
    clearTimeout(this.#settle)
    await this.#scan
  }

  #soon(): void {
    clearTimeout(this.#settle)
    this.#settle = setTimeout(() => void this.rescan(), settleMs)
  }

  async #scanUntilQuiet(): Promise<void> {
    do {
      this.#again = false
      await this.#readFiles()
      const found = this.#collect()
      const changed = !isDeepStrictEqual(found, this.#workloads)
      this.#workloads = found
      if (changed && !this.#closed) this.#onChange()
    } while (this.#again && !this.#closed)
    this.#scan = undefined
  }

  async #readFiles(): Promise<void> {
    const { directory, log } = this.#options
    let names: readonly string[]
    try {
      names = (await readdir(directory)).filter((name) => extensions.test(name) && !name.startsWith('.')).sort()
    } catch (error: unknown) {
      log.error({ err: error }, 'the workload directory cannot be read, keeping what is known')
      return
    }
    for (const name of this.#files.keys()) if (!names.includes(name)) this.#forget(name)
    for (const name of names) await this.#readOne(name)
  }

  #forget(name: string): void {
    this.#files.delete(name)
    this.#said.delete(name)
  }

  async #readOne(name: string): Promise<void> {
    const file = join(this.#options.directory, name)
    const text = await readFile(file, 'utf8').catch(() => undefined)
    const known = this.#files.get(name)
    if (text === undefined || text === known?.text) return
    const parsed = parseDefinition(text, file)
    if ('definition' in parsed) {
      this.#files.set(name, { text, definition: parsed.definition })
      return
    }
    this.#files.set(name, { text, definition: known?.definition })
    const consequence = known?.definition === undefined ? 'not used' : 'the previous definition stays'
    for (const problem of parsed.problems) this.#options.log.error({ file }, `${problem} (${consequence})`)
  }

  /** The workloads of all good files whose namespace exists; of two with one name or one namespace the first file's. */
  #collect(): readonly DiscoveredWorkload[] {
    const found: DiscoveredWorkload[] = []
    const names = new Map<string, string>()
    const inodes = new Map<number, string>()
    for (const [file, { definition }] of [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (definition === undefined) continue
      const facts = this.#lookInto(definition.netns)
      if (facts === undefined) {
        this.#say(file, `there is no network namespace at ${definition.netns}: the workload does not run`)
        continue
      }
      if (facts.inode === this.#ownInode) {
        this.#say(file, `${definition.netns} is the namespace of this agent, not one of the workload's own: not used`)
        continue
      }
      const name = `${definition.namespace}/${definition.name}`
      const taken = names.get(name) ?? inodes.get(facts.inode)
      if (taken !== undefined) {
        const what = names.has(name) ? `the workload ${name}` : `the network namespace ${definition.netns}`
        this.#say(file, `${what} is already defined by ${taken}: not used`)
        continue
      }
      this.#say(file, '')
      names.set(name, file)
      inodes.set(facts.inode, file)
      found.push(this.#discovered(definition, facts))
    }
    return found
  }

  #discovered(definition: WorkloadDefinition, facts: NamespaceFacts): DiscoveredWorkload {
    const { name, namespace, serviceAccount, netns } = definition
    return {
      name,
      namespace,
      serviceAccount,
      labels: definition.labels ?? {},
      ports: definition.ports ?? {},
      addresses: canonicalList(definition.addresses ?? facts.addresses),
      nameservers: definition.nameservers ?? hostNameservers(this.#options.resolvConf ?? '/etc/resolv.conf'),
      locality: definition.locality ?? '',
      weight: definition.weight ?? 1,
      netns: { path: netns, inode: facts.inode },
    }
  }

  #say(file: string, message: string): void {
    if (this.#said.get(file) === message || (message === '' && !this.#said.has(file))) return
    this.#said.set(file, message)
    if (message !== '') this.#options.log.warn({ file: join(this.#options.directory, file) }, message)
  }
}

function canonicalList(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses.flatMap((address) => canonicalAddress(address) ?? []))]
}

/** Inode and addresses of the namespace at `path`; undefined where there is none. */
export function lookIntoNamespace(path: string): NamespaceFacts | undefined {
  const inode = inodeOf(path)
  if (inode === undefined) return undefined
  try {
    using namespace = NetworkNamespace.open(path)
    return { inode: namespace.inode, addresses: namespace.run(interfaceAddresses) }
  } catch {
    return undefined // it ended meanwhile, or the file is no namespace
  }
}

/** `nameserver` lines of a resolv.conf. */
export function parseNameservers(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const address = /^\s*nameserver\s+(\S+)/.exec(line)?.[1]
    return address !== undefined && canonicalAddress(address) !== undefined ? [address] : []
  })
}

function hostNameservers(file: string): readonly string[] {
  try {
    return parseNameservers(readFileSync(file, 'utf8'))
  } catch {
    return []
  }
}
