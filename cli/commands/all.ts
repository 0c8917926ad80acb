// Every command behind one parser, and what went wrong as an exit code (docs/CLI.md): 0 done, 1 failed, 2 the command line is
// wrong. Called by main.ts for all that is not simply the start of a process.
import yargs, { type CommandModule } from 'yargs'
import { MeshError } from '../../core/base/errors.ts'
import { ApiError } from '../client.ts'
import { complaintOf, systemComplaint, usageOf } from '../complaints.ts'
import { ownCompletions } from '../completion.ts'
import { complain, Failed, UsageError } from '../session.ts'
import { version } from '../version.ts'
import { agentProcess } from './agent.ts'
import { analyzeCommand } from './analyze.ts'
import { applyCommand } from './apply.ts'
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
import { workloadsCommand } from './workloads.ts'

const commands = [
  applyCommand,
  getCommand,
  describeCommand,
  deleteCommand,
  labelCommand,
  analyzeCommand,
  explainCommand,
  statusCommand,
  workloadsCommand,
  tokenCommand,
  joinCommand,
  controlProcess.command,
  agentProcess.command,
  daemonProcess.command,
  kubeconfigCommand,
  contextCommand,
  labCommand,
  demoCommand,
  versionCommand,
] as readonly CommandModule[]

const names = [...commands.map((command) => String(command.command).split(' ')[0]!), 'completion']

/** Runs one command line (without node and script). @returns the exit code */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  // What follows `--` belongs to the command that `lab exec` runs, options included.
  const parser = yargs(joinDash(words))
    .scriptName('culvert')
    .usage('$0 <command>\n\nAn ambient service mesh: `$0 demo` shows it at work on this machine.')
    .parserConfiguration({ 'populate--': true, 'parse-positional-numbers': false, 'parse-numbers': false })
    .command([...commands])
    .completion(
      'completion',
      'Print the completion script for this shell: source <(culvert completion)',
      // Four parameters: yargs tells the forms of this function by their number.
      (_current: string, _argv: unknown, defaults: () => void, done: (found: string[]) => void) => {
        const own = ownCompletions(words.slice(words.indexOf('--get-yargs-completions') + 1))
        if (own === undefined) defaults()
        else done([...own])
      },
    )
    .demandCommand(1, 'name a command')
    .strict()
    .help()
    .alias('help', 'h')
    .version(version)
    .exitProcess(false)
    .wrap(Math.min(120, process.stdout.columns ?? 100))
    .epilogue('Exit codes: 0 done, 1 failed, 2 wrong command line. See docs/CLI.md.')
    .fail((message, error, shown) => {
      if (error !== undefined && error !== null && !isYargsError(error)) throw error
      const where = shown.parsed === false ? 'culvert' : usageOf(words, names)
      throw new UsageError(`${complaintOf(message, words, names)}\nSee \`${where} --help\`.`)
    })
  try {
    await parser.parseAsync()
    return typeof process.exitCode === 'number' ? process.exitCode : 0
  } catch (error: unknown) {
    return explain(error)
  }
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
