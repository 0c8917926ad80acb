// What `control`, `agent`, `daemon` and `waypoint` share: flags from the process's configuration rows, and the life of a process from
// build() to the signal that ends it. What is loaded here stays in memory for as long as the process lives.

import { readFileSync } from 'node:fs'
import type { Argv, CommandModule } from 'yargs'
import { type Config, flagName, parseConfig, type Rows } from '../../core/base/config.ts'
import type { ConfigFile } from '../../core/base/config-file.ts'
import { sleep } from '../../core/base/deadline.ts'
import { MeshError } from '../../core/base/errors.ts'
import { createLogger, type Logger } from '../../core/base/log.ts'
import { allowCollecting, collectWhenQuiet } from '../../core/base/quiet.ts'
import { allocateYoung } from '../../core/base/young.ts'
import { giveBackMemory } from '../../core/net/sys-memory.ts'

/** A process that has been built. */
export interface RunningProcess {
  readonly ready: Promise<void>
  close(): Promise<void>
  /** Resolves when the process is no longer wanted: its successor has taken over. */
  readonly retired?: Promise<void>
  /** Rejects when the process cannot go on. */
  readonly failed?: Promise<never>
}

export interface ProcessDefinition<R extends Rows> {
  readonly name: string
  readonly describe: string
  readonly examples: readonly (readonly [string, string])[]
  readonly rows: () => Promise<R>
  readonly build: (config: Config<R>, deps: { readonly log: Logger; readonly build: string }) => Promise<RunningProcess>
  readonly version: string
}

export interface MeshProcess {
  /** For the parser of all commands: knows help and says what is wrong with a flag. */
  readonly command: CommandModule
  /**
   * Runs the process to its end where `words` are plain flags. Resolves with false, and nothing has happened, where they are
   * not: the parser knows better what to say. Throws UsageError for a configuration that cannot be.
   */
  startPlainly(words: readonly string[]): Promise<boolean>
}

/** A process whose flags are the rows of its configuration. Its modules are loaded only when it is used. */
export function meshProcess<R extends Rows>(definition: ProcessDefinition<R>): MeshProcess {
  return {
    command: commandOf(definition),
    startPlainly: async (words) => {
      const rows = await definition.rows()
      const flags = plainFlags(words, [...Object.keys(rows).map((name) => flagName(name)), '--config-file'])
      if (flags === undefined) return false
      await run(definition, await readConfig(definition.name, rows, flags))
      return true
    },
  }
}

/** `--name value` and `--name=value` by the name without dashes; undefined where there is anything else, or a flag twice. */
export function plainFlags(
  words: readonly string[],
  known: readonly string[],
): Readonly<Record<string, string>> | undefined {
  const flags: Record<string, string> = {}
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!
    const equals = word.indexOf('=')
    const flag = equals < 0 ? word : word.slice(0, equals)
    const value = equals < 0 ? words[++index] : word.slice(equals + 1)
    const name = flag.slice(2)
    if (!known.includes(flag) || Object.hasOwn(flags, name)) return undefined
    if (value === undefined || value === '' || value.startsWith('-')) return undefined
    flags[name] = value
  }
  return flags
}

function commandOf<R extends Rows>(definition: ProcessDefinition<R>): CommandModule {
  return {
    command: definition.name,
    describe: definition.describe,
    builder: async (yargs) => {
      const rows = await definition.rows()
      let result: Argv = yargs.option('config-file', {
        type: 'string',
        describe: 'YAML file with the same fields, for those not given as flags or environment variables',
      })
      for (const [name, row] of Object.entries(rows)) result = result.option(flagName(name).slice(2), option(row))
      for (const [words, text] of definition.examples)
        result = result.example(`$0 ${definition.name} ${words}`.trim(), text)
      return result.epilogue('Every flag can be given as CULVERT_<NAME> in the environment. See docs/CONFIG.md.')
    },
    handler: async (argv) => {
      await run(definition, await readConfig(definition.name, await definition.rows(), argv))
    },
  }
}

/** Throws UsageError: what is missing or wrong here is the command line's, or stands for it. */
async function readConfig<R extends Rows>(
  name: string,
  rows: R,
  argv: Readonly<Record<string, unknown>>,
): Promise<Config<R>> {
  const flags = definedFlags(argv)
  try {
    const file = await configFile(flags['config-file'])
    return parseConfig(rows, { flags, env: process.env, ...(file === undefined ? {} : { file }) })
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) throw error
    const { UsageError } = await import('../session.ts')
    throw new UsageError(`${error.message} (${error.code})\nSee \`culvert ${name} --help\`.`)
  }
}

function option(row: Rows[string]): { readonly type: 'string'; readonly requiresArg: true; readonly describe: string } {
  const initial = row.required ? '[required]' : row.default === undefined ? '' : `[default: ${row.default}]`
  return { type: 'string', requiresArg: true, describe: `${row.text} ${initial}`.trim() }
}

function definedFlags(argv: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(argv).filter(([, value]) => value !== undefined))
}

async function configFile(name: unknown): Promise<ConfigFile | undefined> {
  if (typeof name !== 'string') return undefined
  const { readConfigFile } = await import('../../core/base/config-file.ts')
  try {
    return readConfigFile(readFileSync(name, 'utf8'), name)
  } catch (cause: unknown) {
    if (cause instanceof MeshError) throw cause
    throw new MeshError('CONFIG_INVALID', `cannot read the configuration file ${name}`, { cause })
  }
}

/** How long a start may go on after a signal. */
const startGraceMs = 5_000

/** Runs until SIGTERM or SIGINT, then drains; a second signal ends it at once. */
async function run<R extends Rows>(definition: ProcessDefinition<R>, config: Config<R>): Promise<void> {
  const level = (config as Readonly<Record<string, unknown>>)['logLevel']
  const log = createLogger({ name: definition.name, ...(typeof level === 'string' ? { level } : {}) })
  dieOnUncaught(log)
  allowCollecting()
  allocateYoung()
  collectWhenQuiet(giveBackMemory)
  const stop = signalled(log)
  const starting = definition.build(config, { log, build: definition.version })
  // A signal during the start lets the start finish, so that what was opened is closed in order, but not for ever.
  const running = await Promise.race([starting, stop.then(() => sleep(startGraceMs))])
  if (running === undefined) {
    log.warn('stopped before the start was done')
    process.exit(1)
  }
  running.ready.then(
    () => log.info('ready'),
    (error: unknown) => log.error({ err: error }, 'did not become ready'),
  )
  await Promise.race([stop, ...[running.failed, running.retired].filter((end) => end !== undefined)])
  await running.close()
  process.exit(0)
}

function signalled(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    let first = true
    const onSignal = (signal: NodeJS.Signals): void => {
      if (!first) {
        log.warn({ signal }, 'second signal: ending without drain')
        process.exit(1)
      }
      first = false
      log.info({ signal }, 'stopping')
      resolve()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

function dieOnUncaught(log: Logger): void {
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught error')
    process.exit(1)
  })
  process.on('unhandledRejection', (reason) => {
    log.fatal({ err: reason }, 'unhandled rejection')
    process.exit(1)
  })
}
