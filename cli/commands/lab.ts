// `culvert lab`: a whole mesh of several hosts on this machine.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import type { Argv, CommandModule } from 'yargs'
import { flagName } from '../../core/base/config.ts'
import { MeshError } from '../../core/base/errors.ts'
import { table } from '../render.ts'
import { complain, interruption, paint, print, UsageError } from '../session.ts'

interface Selector {
  readonly name: string
  readonly stateDir?: string | undefined
}

function labOptions<T>(yargs: Argv<T>): Argv<T & Selector> {
  return yargs
    .option('name', { type: 'string', default: 'lab', requiresArg: true, describe: 'which lab' })
    .option('state-dir', {
      type: 'string',
      requiresArg: true,
      describe: 'folder of all labs [default: CULVERT_LAB_DIR or /var/lib/culvert/lab]',
    }) as unknown as Argv<T & Selector>
}

function selectorOf(argv: Selector): { readonly name: string; readonly stateDir?: string } {
  return { name: argv.name, ...(argv.stateDir === undefined ? {} : { stateDir: argv.stateDir }) }
}

interface UpArguments extends Selector {
  readonly filename: readonly string[]
  readonly leafLifetime?: string | undefined
  readonly drainTimeout?: string | undefined
  readonly logLevel?: string | undefined
  readonly timeout: number
  readonly keep: boolean
}

const up: CommandModule<object, UpArguments> = {
  command: 'up',
  describe: 'Build a lab from a topology, start everything, apply resources, return when all is ready',
  builder: (yargs) =>
    labOptions(yargs)
      .option('filename', {
        alias: 'f',
        type: 'string',
        array: true,
        nargs: 1,
        demandOption: 'name a topology with -f',
        describe: 'first the topology, then resource files or folders',
      })
      .option('leaf-lifetime', { type: 'string', requiresArg: true, describe: 'lifetime of certificates, such as 20s' })
      .option('drain-timeout', {
        type: 'string',
        requiresArg: true,
        describe: 'how long daemons and waypoints that end let connections go on, such as 10s, or unlimited',
      })
      .option('log-level', { type: 'string', requiresArg: true, describe: 'of control, agents, daemons and waypoints' })
      .option('timeout', {
        type: 'number',
        default: 60,
        requiresArg: true,
        describe: 'seconds until all must be ready',
      })
      .option('keep', { type: 'boolean', default: false, describe: 'leave what was built when a step fails' })
      .example('$0 lab up -f topology.yaml -f resources/', 'a lab with resources') as never,
  handler: async (argv) => {
    const { described, upLab } = await import('../../lab/lab.ts')
    const { parseTopology } = await import('../../lab/topology.ts')
    const [topologyFile = '', ...resources] = argv.filename
    const topology = parseTopology(readText(topologyFile), topologyFile)
    await checkSettings(argv)
    const begin = performance.now()
    const signal = interruption()
    const lab = await upLab({
      ...selectorOf(argv),
      topology,
      resources,
      timeoutMs: argv.timeout * 1_000,
      keepOnFailure: argv.keep,
      signal,
      progress: (text) => complain(`  ${text}`),
      ...(argv.leafLifetime === undefined ? {} : { leafLifetime: argv.leafLifetime }),
      ...(argv.drainTimeout === undefined ? {} : { drainTimeout: argv.drainTimeout }),
      ...(argv.logLevel === undefined ? {} : { logLevel: argv.logLevel }),
    })
    const { plan } = lab
    const seconds = ((performance.now() - begin) / 1_000).toFixed(1)
    print(`lab "${argv.name}" is up: ${described(plan)}, ${seconds} s`)
    const name = argv.name === 'lab' ? '' : ` --name ${argv.name}`
    const { kubeconfigOf } = await import('../../lab/mesh.ts')
    const { pathHint } = await import('../../lab/path-hint.ts')
    for (const line of pathHint()) complain(`  ${line}`)
    complain(`  export CULVERT_KUBECONFIG=${kubeconfigOf(lab.paths)}`)
    complain(`  culvert lab exec${name} WORKLOAD.NAMESPACE -- CMD…    culvert lab down${name}`)
  },
}

/** Throws UsageError: the processes would say the same, but only after a lab has been built and waited for. */
async function checkSettings({ timeout, leafLifetime, drainTimeout, logLevel }: UpArguments): Promise<void> {
  if (!(timeout > 0)) throw new UsageError('--timeout: must be a number of seconds')
  const { controlRows } = await import('../../control/config.ts')
  const { daemonRows } = await import('../../daemon/config.ts')
  const rows = { ...controlRows, drainTimeout: daemonRows.drainTimeout }
  const given = { leafLifetime, drainTimeout, logLevel }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    const parsed = rows[name as keyof typeof given].parser.parse(value)
    if (!parsed.ok) throw new UsageError(`${flagName(name)}: ${parsed.reason}`)
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (cause: unknown) {
    throw new MeshError('CONFIG_INVALID', `cannot read the topology ${file}`, { cause })
  }
}

const down: CommandModule<object, Selector> = {
  command: 'down',
  describe: 'Remove every trace of a lab, also after a crash',
  builder: (yargs) =>
    labOptions(yargs)
      .example('$0 lab down', 'the lab that `lab up` made')
      .example('$0 lab down --name demo', 'the one that the demo has left') as never,
  handler: async (argv) => {
    const { requireLabMachine } = await import('../../lab/command.ts')
    const { downLab } = await import('../../lab/down.ts')
    const { otherLabs } = await import('../../lab/state.ts')
    requireLabMachine()
    const report = await downLab(selectorOf(argv))
    const counts = `${report.processes} processes, ${report.namespaces} namespaces, ${report.mounts} mounts`
    if (report.found) print(`lab "${report.name}" is removed: ${counts}`)
    else print(`there is no lab "${report.name}"${otherLabs(selectorOf(argv))}`)
  },
}

interface ExecArguments extends Selector {
  readonly workload: string
  readonly command?: readonly string[]
  readonly '--'?: readonly string[]
}

const exec: CommandModule<object, ExecArguments> = {
  command: 'exec <workload> [command..]',
  describe: 'Run a command inside a workload',
  builder: (yargs) =>
    labOptions(yargs)
      .positional('workload', { type: 'string', demandOption: true, describe: 'WORKLOAD.NAMESPACE' })
      .positional('command', { type: 'string', array: true, describe: 'what to run; put -- before it' })
      .example('$0 lab exec client.shop -- curl -s http://orders:8080', 'ask a service by its name') as never,
  handler: async (argv) => {
    const { workloadCommandLine } = await import('../../lab/exec.ts')
    const command = [...(argv.command ?? []), ...(argv['--'] ?? [])].map(String)
    if (command.length === 0) throw new UsageError('give a command: culvert lab exec WORKLOAD.NAMESPACE -- CMD…')
    const { line, environment } = workloadCommandLine(selectorOf(argv), argv.workload, command)
    process.exitCode = await runInForeground(line, environment)
  },
}

/** Runs a command on this terminal. @returns its exit code, or 128 and the number of the signal that ended it */
async function runInForeground(
  line: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<number> {
  const [tool = '', ...args] = line
  const child = spawn(tool, args, { stdio: 'inherit', env: { ...process.env, ...environment } })
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal)
  // Ctrl-C reaches the child through the terminal by itself; this process only must not end before it.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', forward)
  process.on('SIGHUP', forward)
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new MeshError('LAB_FAILED', `cannot run ${tool}: ${cause.message}`, { cause })),
    )
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
}

interface StatusArguments extends Selector {
  readonly output?: 'json' | 'yaml' | undefined
}

const status: CommandModule<object, StatusArguments> = {
  command: 'status',
  describe: 'Tell where everything of a lab is: namespaces, addresses, processes',
  builder: (yargs) =>
    labOptions(yargs)
      .option('output', { alias: 'o', choices: ['json', 'yaml'] as const, describe: 'form of the output' })
      .example('$0 lab status', 'for people')
      .example('$0 lab status -o json', 'for programs: network namespaces, addresses, pids') as never,
  handler: async (argv) => {
    const { labStatus } = await import('../../lab/status.ts')
    const lab = labStatus(selectorOf(argv))
    if (argv.output === 'json') {
      print(JSON.stringify(lab, null, 2))
      return
    }
    if (argv.output === 'yaml') {
      print((await import('yaml')).stringify(lab))
      return
    }
    const colour = paint()
    const pid = (value: number | undefined): string => (value === undefined ? colour('red', 'down') : String(value))
    print(`lab "${lab.name}" in ${lab.stateDir}\nAPI ${lab.control.api}, kubeconfig ${lab.control.kubeconfig}\n\n`)
    const hosts = lab.hosts.map((host) => [
      host.name,
      host.netns,
      host.addresses.join(','),
      pid(host.pids['agent']),
      pid(host.pids['daemon']),
    ])
    print(`${table(['HOST', 'NETNS', 'ADDRESSES', 'AGENT', 'DAEMON'], hosts)}\n`)
    const workloads = lab.workloads.map((workload) => [
      `${workload.name}.${workload.namespace}`,
      workload.host,
      workload.netns,
      workload.addresses.join(','),
      workload.pid === undefined ? '-' : String(workload.pid),
    ])
    const waypoints = lab.waypoints.map((waypoint) => [
      `${waypoint.name}.${waypoint.namespace}`,
      waypoint.host,
      waypoint.netns,
      waypoint.addresses.join(','),
      pid(waypoint.pids['waypoint']),
    ])
    const columns = ['HOST', 'NETNS', 'ADDRESSES', 'PID']
    if (waypoints.length > 0) print(`${table(['WAYPOINT', ...columns], waypoints)}\n`)
    print(table(['WORKLOAD', ...columns], workloads))
  },
}

interface UnitArguments extends Selector {
  readonly process: string
}

function unitCommand(
  command: string,
  describe: string,
  example: readonly [line: string, text: string],
  work: (selector: ReturnType<typeof selectorOf>, unit: string) => Promise<string>,
): CommandModule<object, UnitArguments> {
  return {
    command: `${command} <process>`,
    describe,
    builder: (yargs) =>
      labOptions(yargs)
        .positional('process', {
          type: 'string',
          demandOption: true,
          describe: 'control, agent@HOST, daemon@HOST, waypoint@NAME.NAMESPACE or WORKLOAD.NAMESPACE',
        })
        .example(`$0 lab ${command} ${example[0]}`, example[1]) as never,
    handler: async (argv) => print(await work(selectorOf(argv), argv.process)),
  }
}

const stop = unitCommand(
  'stop',
  'Kill a process of a lab and keep it down',
  ['control', 'is traffic hurt?'],
  async (selector, unit) => {
    const { holdUnit } = await import('../../lab/faults.ts')
    await holdUnit(selector, unit)
    const name = selector.name === 'lab' ? '' : ` --name ${selector.name}`
    return `${unit} is killed and stays down until \`culvert lab start${name} ${unit}\``
  },
)

const start = unitCommand(
  'start',
  'Let a stopped process of a lab come back',
  ['daemon@h1', 'on host h1'],
  async (selector, unit) => {
    const { releaseUnit, waitRestarted } = await import('../../lab/faults.ts')
    releaseUnit(selector, unit)
    const { pid } = await waitRestarted(selector, unit, undefined)
    return `${unit} runs with pid ${pid}`
  },
)

const replace = unitCommand(
  'replace',
  'Start a daemon of a lab beside the one that runs, which hands over to it',
  ['daemon@h1', 'an upgrade in small'],
  async (selector, unit) => {
    const { succeedUnit } = await import('../../lab/faults.ts')
    const { before, after } = await succeedUnit(selector, unit)
    return `${unit} runs with pid ${after.pid}; pid ${before.pid} hands over to it, and ends with its last connection or at the drain deadline`
  },
)

export const labCommand: CommandModule = {
  command: 'lab <command>',
  describe: 'A whole mesh of several hosts on this machine',
  builder: (yargs) =>
    yargs
      .command([up, down, exec, status, stop, start, replace] as unknown as CommandModule[])
      .example('$0 lab up -f topology.yaml', 'hosts and workloads as network namespaces')
      .example('$0 lab exec client.shop -- curl -s http://orders:8080', 'ask a service from inside')
      .demandCommand(1, 'name what to do: up, down, exec, status, stop, start or replace'),
  handler: () => {},
}
