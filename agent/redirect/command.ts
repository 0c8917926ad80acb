// Runs one program inside a workload's network namespace, with a deadline. Used by apply.ts and established.ts only; app.ts
// prepares the host's kernel.
import { execFile, spawn } from 'node:child_process'
import { deadline } from '../../core/base/deadline.ts'
import { MeshError } from '../../core/base/errors.ts'

/** `program` and its arguments run in the namespace mounted at `netns`; resolves with what it printed. */
export type RunInNamespace = (netns: string, argv: readonly [string, ...string[]], input?: string) => Promise<string>

const limits = { deadlineMs: 10_000, outputBytes: 16 * 1024 * 1024, errorBytes: 4096 } as const

/** RunInNamespace through nsenter. `signal` ends every command that still runs. */
export function namespaceCommands(signal?: AbortSignal): RunInNamespace {
  return (netns, argv, input = '') => runInNamespace(netns, argv, input, deadline(limits.deadlineMs, signal))
}

/**
 * Loads conntrack before the first rule does, so that its settings (sysctls.ts) exist when they are looked for. Where it is built
 * in or modules cannot be loaded from here, nothing happens.
 */
export function loadConntrack(): Promise<void> {
  return new Promise((resolve) => {
    execFile('modprobe', ['-q', 'nf_conntrack'], { timeout: limits.deadlineMs }, () => resolve())
  })
}

function runInNamespace(netns: string, argv: readonly string[], input: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('nsenter', [`--net=${netns}`, '--', ...argv], {
      stdio: ['pipe', 'pipe', 'pipe'],
      signal,
      killSignal: 'SIGKILL',
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    })
    const output: Buffer[] = []
    let outputBytes = 0
    let complaint = ''
    child.stdout.on('data', (chunk: Buffer) => {
      outputBytes += chunk.length
      if (outputBytes > limits.outputBytes) child.kill('SIGKILL')
      else output.push(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      if (complaint.length < limits.errorBytes) complaint += chunk.toString()
    })
    child.stdin.on('error', () => {})
    child.on('error', (error) => reject(failure(argv, signal.aborted ? 'no answer in time' : startText(error), error)))
    child.on('close', (code, killedBy) => {
      if (code === 0) resolve(Buffer.concat(output).toString())
      else reject(failure(argv, complaint.trim() || `ended with ${killedBy ?? `status ${code}`}`))
    })
    child.stdin.end(input)
  })
}

function startText(error: NodeJS.ErrnoException): string {
  return error.code === 'ENOENT' ? 'nsenter is not installed (Debian package util-linux)' : error.message
}

function failure(argv: readonly string[], text: string, cause?: unknown): MeshError {
  const line = text.replaceAll(/\s*\n\s*/g, '; ')
  const hint = /No such file or directory/.test(line) && line.startsWith('nsenter: failed to execute')
  const advice = hint ? `; is it installed (Debian packages iptables and iproute2)?` : ''
  return new MeshError('REDIRECT_FAILED', `${argv.join(' ')}: ${line}${advice}`, { cause })
}
