// Runs the machine's own tools (ip, nsenter, mount) with a deadline, and turns a failure into an error that shows what was run.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { MeshError } from '../core/base/errors.ts'

export interface CommandOptions {
  readonly input?: string
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const searchPath = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`
const outputLimit = 64 * 1024 * 1024

/** Runs a command and collects its output (64 MiB at most). Rejects only where it cannot start or passes its deadline. */
export function tryCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>()
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...(options.env ?? process.env), PATH: searchPath },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    timeout: options.timeoutMs ?? 30_000,
    killSignal: 'SIGKILL',
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  let size = 0
  const collect = (to: Buffer[]) => (chunk: Buffer) => {
    size += chunk.length
    if (size <= outputLimit) to.push(chunk)
  }
  child.stdout.on('data', collect(out))
  child.stderr.on('data', collect(err))
  child.stdin.on('error', () => {}) // the command may end without reading its input
  child.stdin.end(options.input ?? '')
  child.once('error', (cause) => {
    reject(new MeshError('LAB_FAILED', `cannot run ${command}: ${cause.message}`, { cause }))
  })
  child.once('close', (code, signal) => {
    const stderr = Buffer.concat(err).toString()
    if (code === null) {
      reject(new MeshError('LAB_FAILED', `${line(command, args)} was ended by ${signal} ${stderr.trim()}`))
    } else resolve({ code, stdout: Buffer.concat(out).toString(), stderr })
  })
  return promise
}

/** Runs a command that must succeed; gives its standard output. Throws LAB_FAILED with the command line and its complaint. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await tryCommand(command, args, options)
  if (code === 0) return stdout
  throw new MeshError('LAB_FAILED', `${line(command, args)} failed (${code}): ${stderr.trim() || stdout.trim()}`)
}

/** Throws LAB_FAILED naming what this machine lacks for a lab. */
export function requireLabMachine(): void {
  if (process.platform !== 'linux') throw new MeshError('LAB_FAILED', 'a lab needs Linux (network namespaces)')
  if (process.getuid?.() !== 0) {
    throw new MeshError('LAB_FAILED', 'a lab needs root, for network namespaces: run it with sudo')
  }
  const packages: Readonly<Record<string, string>> = {
    ip: 'iproute2',
    nsenter: 'util-linux',
    unshare: 'util-linux',
    mount: 'mount',
    'iptables-restore': 'iptables',
    'ip6tables-restore': 'iptables',
  }
  const missing = Object.keys(packages).filter((tool) => !findTool(tool))
  if (missing.length === 0) return
  const install = [...new Set(missing.map((tool) => packages[tool]))].join(' ')
  throw new MeshError('LAB_FAILED', `missing ${missing.join(', ')}: run \`apt-get install ${install}\``)
}

function findTool(name: string): boolean {
  return searchPath.split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, name)))
}

function line(command: string, args: readonly string[]): string {
  return `\`${[command, ...args].join(' ')}\``
}
