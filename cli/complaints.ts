// What the CLI says about a wrong command line and about errors of the system, in words for people. Pure; called by commands/all.ts.
import { didYouMean } from '../core/model/suggest.ts'

/** Commands that have commands of their own. */
export const groups: Readonly<Record<string, readonly string[]>> = {
  lab: ['up', 'down', 'exec', 'status', 'stop', 'start', 'replace'],
  token: ['create'],
  context: ['list', 'use'],
}

/** The words of a command line that name its command: `culvert lab up` of `lab up --bad`. */
export function usageOf(words: readonly string[], commands: readonly string[]): string {
  const end = words.findIndex((word) => word.startsWith('-'))
  const [first = '', second = ''] = words.slice(0, end < 0 ? 2 : Math.min(end, 2))
  const inner = groups[first]?.includes(second) === true
  return ['culvert', ...(commands.includes(first) ? [first] : []), ...(inner ? [second] : [])].join(' ')
}

/**
 * Yargs's complaint about a command line, or a clearer one.
 *
 * @param options names of the options of the command, where they are known
 */
export function complaintOf(
  message: string,
  words: readonly string[],
  commands: readonly string[],
  options: readonly string[] = [],
): string {
  const [first = '', second = ''] = words
  if (first !== '' && !first.startsWith('-') && !commands.includes(first)) {
    return `there is no command "${first}"${didYouMean(first, commands)}`
  }
  const inner = groups[first]
  if (inner !== undefined && !inner.includes(second)) {
    if (second === '' || second.startsWith('-')) return `name what to do: ${inner.join(', ')}`
    return `there is no command "${first} ${second}"${didYouMean(second, inner)}`
  }
  if (message.startsWith('Not enough non-option arguments')) return 'an argument is missing'
  if (first === 'lab' && second === 'exec' && message.startsWith('Unknown argument')) {
    return `${message}\nPut -- before the command: culvert lab exec WORKLOAD.NAMESPACE -- CMD…`
  }
  const unknown = /^Unknown arguments?: (\S+?)(?:,|$)/.exec(message)?.[1]
  return unknown === undefined ? message : unknownArgument(unknown, words, options)
}

function unknownArgument(name: string, words: readonly string[], options: readonly string[]): string {
  const written = words.find((word) => word.replace(/^-+/, '').replace(/=.*$/, '') === name && word.startsWith('-'))
  if (written === undefined) return `"${name}" is one argument too many`
  const flag = written.replace(/=.*$/, '')
  const known = options.map((option) => (option.length === 1 ? `-${option}` : `--${option}`))
  return `there is no option ${flag}${didYouMean(flag, known)}`
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'not permitted; it may need root',
  EADDRINUSE: 'the address is in use by another process',
  EADDRNOTAVAIL: 'this machine does not have the address',
  ENOENT: 'no such file or folder',
  ENOSPC: 'no space left',
  EROFS: 'the file system is read-only',
}

/** `cannot mkdir /var/lib/culvert: permission denied (EACCES)` of an error of the system; undefined of any other. */
export function systemComplaint(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return undefined
  const { syscall, code } = error
  const about = error as Error & { readonly path?: unknown; readonly address?: unknown; readonly port?: unknown }
  const place = about.path ?? (about.address === undefined ? '' : `${about.address}:${about.port}`)
  const reason = reasons[String(code)]
  if (reason === undefined) return error.message
  const what = `cannot ${String(syscall)} ${String(place)}`.trim()
  return `${what}: ${reason} (${String(code)})`
}
