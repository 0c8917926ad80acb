// Every command behind one parser, and what went wrong as an exit code (docs/CLI.md): 0 done, 1 failed, 2 the command line is
// wrong. Called by main.ts for all that is not simply the start of a process.
import yargs, { type CommandModule } from 'yargs'
import { MeshError } from '../../core/base/errors.ts'
import { ApiError } from '../client.ts'
import { complaintOf, systemComplaint, usageOf } from '../complaints.ts'
import { ownCompletions } from '../completion.ts'
import { complain, Failed, print, UsageError } from '../session.ts'
import { version } from '../version.ts'
import { agentProcess } from './agent.ts'
import { analyzeCommand } from './analyze.ts'
import { applyCommand } from './apply.ts'
import { certsCommand } from './certs.ts'
import { completionSource } from './completion-source.ts'
import { contextCommand } from './context.ts'
import { controlProcess } from './control.ts'
import { daemonProcess } from './daemon.ts'
import { deleteCommand } from './delete.ts'
import { demoCommand } from './demo.ts'
import { describeCommand } from './describe.ts'
import { explainCommand } from './explain.ts'
import { getCommand } from './get.ts'
import { joinCommand } from './join.ts'
import { kubeconfigCommand } from './kubeconfig.ts'
import { labCommand } from './lab.ts'
import { labelCommand } from './label.ts'
import { statusCommand } from './status.ts'
import { tokenCommand } from './token.ts'
import { versionCommand } from './version.ts'
import { waypointProcess } from './waypoint.ts'
import { workloadsCommand } from './workloads.ts'

export const commands = [
  applyCommand,
  getCommand,
  describeCommand,
  deleteCommand,
  labelCommand,
  analyzeCommand,
  explainCommand,
  statusCommand,
  workloadsCommand,
  certsCommand,
  tokenCommand,
  joinCommand,
  controlProcess.command,
  agentProcess.command,
  daemonProcess.command,
  waypointProcess.command,
  kubeconfigCommand,
  contextCommand,
  labCommand,
  demoCommand,
  versionCommand,
] as readonly CommandModule[]

const names = [...commands.map((command) => String(command.command).split(' ')[0]!), 'completion']

/** Runs one command line (without node and script). @returns the exit code */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  const [command, shell = ''] = words
  if (command === completionFlag && (await completes(words.slice(1)))) return 0
  const namesShell = command === 'completion' && ['bash', 'zsh'].includes(shell)
  // yargs goes by the variable, which tells the login shell only
  if (namesShell) process.env['SHELL'] = shell
  let running: unknown
  // What follows `--` belongs to the command that `lab exec` runs, options included.
  const parser = yargs(namesShell ? ['completion', ...words.slice(2)] : joinDash(words))
    .scriptName('culvert')
    .usage('$0 <command>\n\nAn ambient service mesh: `$0 demo` shows it at work on this machine.')
    .parserConfiguration({ 'populate--': true, 'parse-positional-numbers': false, 'parse-numbers': false })
    .command([...commands])
    .completion(
      'completion',
      'Print the completion script for this shell, or for bash or zsh: source <(culvert completion bash)',
    )
    .demandCommand(1, 'name a command')
    .strict()
    .help()
    .alias('help', 'h')
    .version(version)
    .exitProcess(false)
    .wrap(Math.min(120, process.stdout.columns ?? 100))
    .epilogue('Exit codes: 0 done, 1 failed, 2 wrong command line, 3 a --check that found something. See docs/CLI.md.')
    .fail((message, error, shown) => {
      if (error !== undefined && error !== null && !isYargsError(error)) throw error
      const where = shown.parsed === false ? 'culvert' : usageOf(words, names)
      const complaint = complaintOf(message, words, names, optionNames(running))
      throw new UsageError(`${complaint}\nUsage: ${usageLine(where)}\nSee \`${where} --help\`.`)
    })
  running = parser
  try {
    if (words.length === 0) {
      // not an answer to a question, so not on standard output
      parser.showHelp('error')
      return 2
    }
    await parser.parseAsync()
    return typeof process.exitCode === 'number' ? process.exitCode : 0
  } catch (error: unknown) {
    return explain(error)
  }
}

/** What the shell's script asks with: the line up to the cursor follows, `culvert` first. */
const completionFlag = '--get-yargs-completions'

/** Offers what yargs does not know. @returns false where it is commands and options */
async function completes(line: readonly string[]): Promise<boolean> {
  const found = await ownCompletions(line, completionSource(line))
  for (const word of found ?? []) print(word)
  return found !== undefined
}

/** `-f -` as `-f=-`: yargs takes a lone dash for no value. */
export function joinDash(words: readonly string[]): string[] {
  const result: string[] = []
  for (const [index, word] of words.entries()) {
    if (word === '--') return [...result, ...words.slice(index)]
    const last = result.at(-1)
    if (word === '-' && (last === '-f' || last === '--filename')) result[result.length - 1] = `${last}=-`
    else result.push(word)
  }
  return result
}

const argumentsOf: Readonly<Record<string, string>> = {
  'culvert lab exec': '<workload> -- CMD… ',
  'culvert lab stop': '<process> ',
  'culvert lab start': '<process> ',
  'culvert lab replace': '<process> ',
  'culvert context use': '<name> ',
}

/** `culvert get <target..> [options]` of `culvert get`. */
function usageLine(where: string): string {
  const [, name, inner] = where.split(' ')
  const command = commands.find((candidate) => String(candidate.command).split(' ')[0] === name)
  if (command === undefined) return 'culvert <command> [options]'
  return inner === undefined ? `culvert ${command.command} [options]` : `${where} ${argumentsOf[where] ?? ''}[options]`
}

/** Of the command that yargs was about to run. */
function optionNames(parser: unknown): readonly string[] {
  const { getOptions } = parser as { readonly getOptions?: () => { readonly key: Readonly<Record<string, unknown>> } }
  return typeof getOptions === 'function' ? Object.keys(getOptions.call(parser).key) : []
}

function isYargsError(error: Error): boolean {
  return error.name === 'YError'
}

/** Says on stderr what went wrong. @returns the exit code */
export function explain(error: unknown): number {
  if (error instanceof UsageError) {
    complain(`culvert: ${error.message}`)
    return 2
  }
  if (error instanceof Failed) {
    if (error.message !== '') complain(`culvert: ${error.message}`)
    return 1
  }
  if (error instanceof ApiError) complain(`culvert: ${error.reason === '' ? '' : `${error.reason}: `}${error.message}`)
  else if (error instanceof MeshError) complain(`culvert: ${error.message} (${error.code})`)
  else complain(`culvert: ${systemComplaint(error) ?? (error instanceof Error ? (error.stack ?? '') : String(error))}`)
  return 1
}
