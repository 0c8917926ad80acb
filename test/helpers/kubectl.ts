// Unmodified kubectl against a control plane of this process: found on the machine, run with a kubeconfig that `culvert kubeconfig`
// printed and a home of its own.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { repository } from './sources.ts'

/** DESIGN and README promise this one and newer. */
const oldestMinor = 27

export interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Kubectl {
  run(args: readonly string[], input?: string, env?: Readonly<Record<string, string>>): Promise<Result>
  /** Lines of stdout as they come, until `close`. */
  follow(args: readonly string[]): { next(fits: (line: string) => boolean): Promise<string>; close(): void }
}

/** Of the environment variable KUBECTL, or the first on PATH; undefined where none is new enough. */
export async function findKubectl(): Promise<string | undefined> {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'kubectl'))
  const candidates = process.env['KUBECTL'] === undefined ? onPath : [process.env['KUBECTL']]
  for (const candidate of candidates) if ((await minorOf(candidate)) >= oldestMinor) return candidate
  return undefined
}

async function minorOf(command: string): Promise<number> {
  const { code, stdout } = await run(command, ['version', '--client', '-o', 'json'])
  if (code !== 0) return -1
  const { clientVersion } = JSON.parse(stdout) as { clientVersion: { major: string; minor: string } }
  return clientVersion.major === '1' ? Number.parseInt(clientVersion.minor, 10) : -1
}

const limitMs = 60_000

/** kubectl with the control plane of `stateDir`; keeps its files in `home`. */
export async function kubectlFor(command: string, stateDir: string, home: string): Promise<Kubectl> {
  mkdirSync(home, { recursive: true })
  const cli = join(repository, 'cli/main.ts')
  const printed = await run(process.execPath, [cli, 'kubeconfig', '--state-dir', stateDir])
  if (printed.code !== 0) throw new Error(`culvert kubeconfig: ${printed.stderr}`)
  const kubeconfig = join(home, 'kubeconfig')
  writeFileSync(kubeconfig, printed.stdout, { mode: 0o600 })
  const base = { PATH: process.env['PATH'] ?? '', HOME: home, KUBECONFIG: kubeconfig }
  return {
    run: (args, input, env = {}) => run(command, args, { ...base, ...env }, input),
    follow: (args) => follow(spawn(command, args, { env: base, stdio: ['ignore', 'pipe', 'ignore'] })),
  }
}

function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
  input = '',
): Promise<Result> {
  return new Promise((resolve) => {
    const options = { env: { ...env }, timeout: limitMs, maxBuffer: 64 * 1024 * 1024 }
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, stdout, stderr: code === -1 ? `${stderr}${String(error)}` : stderr })
    })
    // a command that does not read its input, or does not exist
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

function follow(child: ChildProcess) {
  const lines = createInterface({ input: child.stdout! })
  const read = lines[Symbol.asyncIterator]()
  return {
    async next(fits: (line: string) => boolean): Promise<string> {
      const end = AbortSignal.timeout(limitMs)
      const late = new Promise<never>((_, reject) => {
        end.addEventListener('abort', () => reject(new Error('kubectl said nothing of it')))
      })
      for (;;) {
        const { value, done } = await Promise.race([read.next(), late])
        if (done === true) throw new Error('kubectl ended')
        if (fits(value)) return value
      }
    },
    close(): void {
      child.kill()
    },
  }
}
