// `--config DIR`: resources from files. All files are read and checked before anything is applied; a change that is not wholly
// good leaves everything as it was. Objects whose files go are deleted.
import { createHash } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import { kindOf, kinds } from '../core/model/kinds.ts'
import { locateProblem, type Manifest, parseManifests, validateManifests } from '../core/model/manifest.ts'
import { formatProblem, type Problem } from '../core/model/problem.ts'
import { formatObjectKey, type MeshObject } from '../core/model/resource.ts'
import { ApiError } from './api/errors.ts'
import type { Resources } from './api/resources.ts'
import { keyOf } from './compile/conditions.ts'
import { annotation } from './compile/order.ts'
import { names } from './compile/settings.ts'
import { Serial } from './serial.ts'

const manifestName = /^[^.].*\.(ya?ml|json)$/
const defaultNamespace = 'default'
const settleMs = 200
const defaultRescanMs = 10_000

export interface ConfigDirectoryOptions {
  readonly directory: string
  readonly resources: Resources
  readonly log: Logger
  /** Files are looked at again this often, in case the system did not tell of a change. */
  readonly rescanMs?: number
}

export class ConfigDirectory {
  readonly #options: ConfigDirectoryOptions
  readonly #serial = new Serial()
  #seen = ''
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #settling: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: ConfigDirectoryOptions) {
    this.#options = options
  }

  /**
   * The first load. Throws CONFIG_INVALID that lists every problem as file:line:column, with nothing applied. Where an earlier
   * run applied the directory, what it applied stays in force instead: a mistake in a file keeps no control plane away.
   */
  async load(): Promise<void> {
    try {
      await this.#serial.run(() => this.#scan())
    } catch (error: unknown) {
      if (!(await this.#appliedBefore())) throw error
      this.#keepPrevious(error)
    }
  }

  /** Follows changes from now on. */
  follow(): void {
    const { directory, log, rescanMs = defaultRescanMs } = this.#options
    try {
      this.#watcher = watch(directory, () => this.#settle())
      this.#watcher.on('error', (error) =>
        log.warn({ err: error, directory }, 'changes are only found by looking again'),
      )
    } catch (error: unknown) {
      log.warn({ err: error, directory }, 'changes are only found by looking again')
    }
    this.#timer = setInterval(() => this.#rescan(), rescanMs)
    this.#timer.unref()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#watcher?.close()
    clearInterval(this.#timer)
    clearTimeout(this.#settling)
    await this.#serial.idle()
  }

  /** Editors write in several steps: waits until the directory is quiet for a moment. */
  #settle(): void {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => this.#rescan(), settleMs)
  }

  #rescan(): void {
    void this.#serial
      .run(async () => {
        if (!this.#closed) await this.#scan()
      })
      .catch((error: unknown) => this.#keepPrevious(error))
  }

  #keepPrevious(error: unknown): void {
    this.#options.log.error(`${String((error as Error).message)}\nthe previous state of the directory stays in force`)
  }

  async #appliedBefore(): Promise<boolean> {
    for (const kind of kinds) {
      const { items } = await this.#options.resources.list(kind)
      if (items.some((object) => annotation(object, names.sourceFile) !== undefined)) return true
    }
    return false
  }

  async #scan(): Promise<void> {
    const files = await this.#read()
    const content = createHash('sha256').update(JSON.stringify(files)).digest('hex')
    if (content === this.#seen) return
    // A bad state is reported once, not at every look.
    this.#seen = content
    const manifests = await this.#check(files)
    await this.#apply(manifests)
    this.#options.log.info({ directory: this.#options.directory, objects: manifests.length }, 'applied the directory')
  }

  async #read(): Promise<readonly (readonly [file: string, text: string])[]> {
    const { directory } = this.#options
    try {
      const found = (await readdir(directory)).filter((file) => manifestName.test(file)).sort()
      return await Promise.all(
        found.map(async (file) => [join(directory, file), await readFile(join(directory, file), 'utf8')] as const),
      )
    } catch (error: unknown) {
      throw new MeshError('CONFIG_INVALID', `cannot read ${directory}: ${(error as Error).message}`, { cause: error })
    }
  }

  /** The manifests of all files, namespaces first. Throws where anything is wrong with any of them. */
  async #check(files: readonly (readonly [string, string])[]): Promise<readonly Manifest[]> {
    const parsed = files.map(([file, text]) => parseManifests(text, file))
    const manifests = parsed.flatMap((result) => result.objects).map(placed)
    const problems: Problem[] = parsed.flatMap((result) => result.problems)
    problems.push(...validateManifests(manifests), ...(await this.#missingNamespaces(manifests)))
    if (problems.length === 0) problems.push(...(await this.#dryRun(manifests)))
    if (problems.length > 0) {
      throw new MeshError('CONFIG_INVALID', `${problems.map(formatProblem).join('\n')}\nnothing was applied`)
    }
    return [...manifests].sort((a, b) => rank(a.object) - rank(b.object))
  }

  async #missingNamespaces(manifests: readonly Manifest[]): Promise<readonly Problem[]> {
    const { items } = await this.#options.resources.list(kinds.find((kind) => kind.kind === 'Namespace')!)
    const known = new Set(items.map((object) => object.metadata.name))
    for (const { object } of manifests) if (object.kind === 'Namespace') known.add(object.metadata.name)
    return manifests.flatMap((manifest) => {
      const { namespace } = manifest.object.metadata
      if (namespace === undefined || known.has(namespace)) return []
      const message = `namespace "${namespace}" does not exist: add it to the directory`
      return [locateProblem(manifest, { path: 'metadata.namespace', at: ['metadata', 'namespace'], message })]
    })
  }

  /** What only the store can say, such as an address that another object has. */
  async #dryRun(manifests: readonly Manifest[]): Promise<readonly Problem[]> {
    const fresh = new Set(
      manifests.filter(({ object }) => object.kind === 'Namespace').map(({ object }) => object.metadata.name),
    )
    const problems: Problem[] = []
    for (const manifest of manifests) {
      if (fresh.has(manifest.object.metadata.namespace ?? '')) continue
      try {
        await this.#options.resources.apply(manifest.object, { dryRun: true })
      } catch (error: unknown) {
        problems.push(locateProblem(manifest, { path: '', message: (error as Error).message }))
      }
    }
    return problems
  }

  async #apply(manifests: readonly Manifest[]): Promise<void> {
    const problems: Problem[] = []
    for (const manifest of manifests) {
      try {
        const { warnings } = await this.#options.resources.apply(manifest.object)
        for (const warning of warnings) this.#options.log.warn(`${manifest.file}:${manifest.line}: ${warning}`)
      } catch (error: unknown) {
        problems.push(locateProblem(manifest, { path: '', message: (error as Error).message }))
      }
    }
    await this.#deleteGone(new Set(manifests.map(({ object }) => formatObjectKey(keyOf(object)))))
    if (problems.length > 0) throw new MeshError('CONFIG_INVALID', problems.map(formatProblem).join('\n'))
  }

  /** Deletes what came from a file of the directory and is in none any more, namespaces last. */
  async #deleteGone(kept: ReadonlySet<string>): Promise<void> {
    const { resources, log } = this.#options
    for (const kind of [...kinds].sort((a, b) => rankOf(b.kind) - rankOf(a.kind))) {
      for (const object of (await resources.list(kind)).items) {
        if (annotation(object, names.sourceFile) === undefined || kept.has(formatObjectKey(keyOf(object)))) continue
        const { namespace = '', name } = object.metadata
        try {
          await resources.delete(kind, namespace, name)
          log.info(`deleted ${formatObjectKey(keyOf(object))}: its file is gone`)
        } catch (error: unknown) {
          if (!(error instanceof ApiError)) throw error
          // A protected namespace stays, without what the file had said about it.
          if (error.reason === 'Forbidden') {
            await resources.apply({ apiVersion: object.apiVersion, kind: object.kind, metadata: { name } })
          } else if (error.reason !== 'NotFound') throw error
        }
      }
    }
  }
}

function rankOf(kind: string): number {
  const at = ['Namespace', 'Service'].indexOf(kind)
  return at < 0 ? 2 : at
}

function rank(object: MeshObject): number {
  return rankOf(object.kind)
}

/** With the namespace that kubectl would give it, and the file that it came from. */
function placed(manifest: Manifest): Manifest {
  const { object } = manifest
  const namespaced = kindOf(object.apiVersion, object.kind)?.namespaced === true
  const namespace = namespaced ? { namespace: object.metadata.namespace ?? defaultNamespace } : {}
  const annotations = { ...object.metadata.annotations, [names.sourceFile]: manifest.file }
  return { ...manifest, object: { ...object, metadata: { ...object.metadata, ...namespace, annotations } } }
}
