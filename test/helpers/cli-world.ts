// The CLI as people run it, against a control plane of its own that runs as long as the test file does.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from './control-world.ts'

const main = new URL('../../cli/main.ts', import.meta.url).pathname
const startMs = 60_000

export interface CliResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

export class CliWorld {
  readonly #state: string
  #control: ChildProcess | undefined

  /** `state`: the control plane's directory. */
  constructor(state: string) {
    this.#state = state
  }

  get kubeconfig(): string {
    return join(this.#state, 'kubeconfig')
  }

  /** Call in `t.before`. */
  async start(t: Test): Promise<void> {
    t.teardown(() => this.#stop())
    const addresses = ['--api-address', '127.0.0.1:0', '--feed-address', '127.0.0.1:0']
    const env = { ...process.env, CULVERT_LOG_LEVEL: 'error', NODE_OPTIONS: '' }
    const words = [main, 'control', '--state-dir', this.#state, ...addresses]
    this.#control = spawn(process.execPath, words, { env, stdio: 'ignore' })
    const end = performance.now() + startMs
    for (;;) {
      if (existsSync(this.kubeconfig) && (await this.culvert(['status'])).code === 0) return
      if (performance.now() > end) throw new Error('control did not start')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  culvert(words: readonly string[], input = '', variables: NodeJS.ProcessEnv = {}): Promise<CliResult> {
    const env = { ...process.env, CULVERT_KUBECONFIG: this.kubeconfig, NODE_OPTIONS: '', ...variables }
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [main, ...words], { env, timeout: 60_000 }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err })
      })
      child.stdin?.end(input)
    })
  }

  async #stop(): Promise<void> {
    const control = this.#control
    if (control === undefined || control.exitCode !== null) return
    const gone = new Promise((resolve) => control.once('exit', resolve))
    control.kill('SIGTERM')
    await gone
  }
}
