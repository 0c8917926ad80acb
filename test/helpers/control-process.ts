// `culvert control` as a process of its own that can be killed with SIGKILL and started again on the same state.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { api } from './control-world.ts'

const startMs = 60_000

export const controlCommand = (stateDir: string): readonly string[] => {
  const main = join(import.meta.dirname, '../../cli/main.ts')
  const addresses = ['--api-address', '127.0.0.1:0', '--feed-address', '127.0.0.1:0', '--log-level', 'error']
  return ['--disable-warning=ExperimentalWarning', main, 'control', '--state-dir', stateDir, ...addresses]
}

export class ControlProcess {
  readonly stateDir: string
  readonly #more: readonly string[]
  readonly #onExit = (): void => {
    this.#child?.kill('SIGKILL')
  }
  #child: ChildProcess | undefined

  constructor(stateDir: string, more: readonly string[] = []) {
    this.stateDir = stateDir
    this.#more = more
  }

  /** Resolves once the API answers. */
  async start(): Promise<void> {
    this.#child = spawn(process.execPath, [...controlCommand(this.stateDir), ...this.#more], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    process.on('exit', this.#onExit)
    const end = performance.now() + startMs
    while (!(await this.#answers())) {
      if (performance.now() > end) throw new Error('the control plane does not start')
      await sleep(50)
    }
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    process.off('exit', this.#onExit)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }

  async #answers(): Promise<boolean> {
    try {
      return (await api(this.stateDir, 'GET', '/api/v1/namespaces/default')).status === 200
    } catch {
      return false
    }
  }
}
