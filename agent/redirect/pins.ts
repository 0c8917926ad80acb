// Pins of network namespaces: a bind mount per workload instance under <run-dir>/netns, so that agent and daemon open
// a path that neither vanishes under them nor becomes another namespace. A pin keeps its namespace alive; the
// reconciler releases it.
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '../../core/base/errors.ts'

export interface Pin {
  readonly path: string
  readonly inode: number
}

/** The two mount calls of core/net/sys.ts. */
export interface Mounts {
  bindMount(source: string, target: string): void
  unmountDetach(target: string): void
}

export class Pins {
  readonly #directory: string
  readonly #mounts: Mounts

  /** @param directory `<run-dir>/netns`; created with mode 0755, the daemon must be able to enter it */
  constructor(directory: string, mounts: Mounts) {
    this.#directory = directory
    this.#mounts = mounts
    mkdirSync(directory, { recursive: true, mode: 0o755 })
  }

  /**
   * Pins `source` as `name`, or finds it pinned already. Throws SYSTEM_CALL where the pin holds another inode than
   * `inode`.
   */
  pin(name: string, source: string, inode: number): Pin {
    const path = this.#path(name)
    const present = inodeOf(path)
    if (present === inode) return { path, inode }
    if (present !== undefined) this.release(name)
    writeFileSync(path, '', { flag: 'a', mode: 0o444 })
    this.#mounts.bindMount(source, path)
    const pinned = inodeOf(path)
    if (pinned === inode) return { path, inode }
    this.release(name)
    throw new MeshError(
      'SYSTEM_CALL',
      `${source} became another network namespace (inode ${pinned}) while being pinned`,
    )
  }

  /** The pin of that name if it still holds this namespace. */
  held(name: string, inode: number): Pin | undefined {
    const path = this.#path(name)
    return inodeOf(path) === inode ? { path, inode } : undefined
  }

  /** Unmounts, however often it was mounted, and removes the file. Safe where nothing is pinned. */
  release(name: string): void {
    const path = this.#path(name)
    for (let mounts = 0; mounts < 16 && inodeOf(path) !== undefined; mounts += 1) {
      try {
        this.#mounts.unmountDetach(path)
      } catch {
        break // not a mount (left over from before a reboot): the file alone goes
      }
    }
    rmSync(path, { force: true })
  }

  /** Releases every pin that is not one of `kept`; returns their names. Called once at start. */
  releaseOthers(kept: ReadonlySet<string>): readonly string[] {
    const stale = readdirSync(this.#directory).filter((name) => !kept.has(name))
    for (const name of stale) this.release(name)
    return stale
  }

  #path(name: string): string {
    if (!/^[a-z0-9][a-z0-9._-]*$/i.test(name)) throw new TypeError(`not a pin name: ${name}`)
    return join(this.#directory, name)
  }
}

/** Inode of the file or namespace at `path`. */
export function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino
}
