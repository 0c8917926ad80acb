// The daemon's memory across restarts: the last model, local workloads and trust bundle, so that it serves without its
// agent. Keys are not here (CertificateCache keeps them). Owned by app.ts.
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import type { HandoffToDaemon, LocalWorkload } from '../core/feed/handoff.ts'
import { parseHandoffToDaemon } from '../core/feed/parse.ts'
import type { CompiledDelta } from '../core/model/types.ts'

export interface PersistedState {
  readonly delta: CompiledDelta
  readonly workloads: readonly LocalWorkload[]
  readonly bundle: string
}

const format = 1

/** The state of `file`; undefined where there is none. A damaged file is reported and set aside, never half used. */
export async function loadState(file: string, log: Logger): Promise<PersistedState | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error: unknown) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined
    throw asMeshError(error, 'STORE_FAILED')
  }
  try {
    return parseState(text)
  } catch (error: unknown) {
    log.error({ err: error, file }, 'the saved state is damaged; it was set aside and the daemon waits for its agent')
    await rename(file, `${file}.damaged`)
    return undefined
  }
}

/** Throws FEED_PROTOCOL for anything but a state that `saveState` wrote. */
export function parseState(text: string): PersistedState {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error: unknown) {
    throw new MeshError('FEED_PROTOCOL', 'not JSON', { cause: error })
  }
  if (typeof value !== 'object' || value === null || (value as { format?: unknown }).format !== format) {
    throw new MeshError('FEED_PROTOCOL', `not a state of format ${format}`)
  }
  const message = parseHandoffToDaemon({ ...value, type: 'state', seq: 0 }) as Extract<
    HandoffToDaemon,
    { type: 'state' }
  >
  return { delta: message.delta, workloads: message.workloads, bundle: message.bundle }
}

/** Replaces the file in one step; readable by its owner only. Throws STORE_FAILED. */
export async function saveState(file: string, state: PersistedState): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(JSON.stringify({ format, ...state }))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error: unknown) {
    await rm(temporary, { force: true }).catch(() => {})
    throw asMeshError(error, 'STORE_FAILED')
  }
}

export interface StateWriterOptions {
  readonly file: string
  /** The state at the moment of writing; undefined while there is nothing worth keeping. */
  readonly state: () => PersistedState | undefined
  readonly delayMs: number
  readonly log: Logger
}

/** Writes the state some time after the last change, one write at a time, and once more at the end. */
export class StateWriter {
  readonly #options: StateWriterOptions
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(options: StateWriterOptions) {
    this.#options = options
  }

  /** Something changed. */
  touch(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#write()
    }, this.#options.delayMs)
  }

  /** Writes what is outstanding. */
  async close(): Promise<void> {
    if (this.#forget()) this.#write()
    await this.#writing
  }

  /** Leaves the file to somebody else: what is outstanding is not written. */
  async abandon(): Promise<void> {
    this.#forget()
    await this.#writing
  }

  #forget(): boolean {
    const outstanding = this.#timer !== undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
    return outstanding
  }

  #write(): void {
    this.#writing = this.#writing.then(async () => {
      const state = this.#options.state()
      if (state === undefined) return
      try {
        await saveState(this.#options.file, state)
      } catch (error: unknown) {
        this.#options.log.error(
          { err: error },
          'the state could not be saved: a restart without the agent would forget it',
        )
      }
    })
  }
}
