// `culvert status`: is the mesh well? Control plane, hosts, workloads, and what is accepted but not enforced.
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import { conditionsIn, hasConditions, isOwn } from '../../control/publish/status-shape.ts'
import { sleep } from '../../core/base/deadline.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import { kinds } from '../../core/model/kinds.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { objectName } from '../apply.ts'
import { type ApiClient, ApiError } from '../client.ts'
import { meshStatus } from '../mesh-status.ts'
import { type ApiArguments, apiOptions, interruption, paint, print, UsageError, withClient } from '../session.ts'
import { type Finding, statusProblems } from '../status-problems.ts'
import { type StatusReport, statusText } from '../status-text.ts'
import { workloadViews } from './workloads.ts'

interface Arguments extends ApiArguments {
  readonly output?: 'json' | 'yaml' | 'wide' | undefined
  readonly watch: boolean
  readonly interval: number
  readonly check: boolean
}

/** `--check`: the mesh answered, and something in it does not do what it was told. */
const unwell = 3
const clearScreen = '\x1b[H\x1b[2J'

export const statusCommand: CommandModule<object, Arguments> = {
  command: 'status',
  describe: 'Show the state of the mesh: what is wrong, control plane, hosts, workloads',
  builder: (yargs) =>
    apiOptions(yargs)
      .option('output', {
        alias: 'o',
        choices: ['json', 'yaml', 'wide'] as const,
        describe: 'form of the output; wide adds replicas, builds and the last refusal of each host',
      })
      .option('watch', { alias: 'w', type: 'boolean', default: false, describe: 'show it again and again' })
      .option('interval', { type: 'number', default: 2, requiresArg: true, describe: 'seconds, with --watch' })
      .option('check', { type: 'boolean', default: false, describe: `end with ${unwell} where there is an error` })
      .example('$0 status', 'what is wrong, and how far every host is')
      .example('$0 status --watch -o wide', 'follow a roll-out on every host')
      .example('$0 status --check > /dev/null', 'for a monitor: 0 well, 3 an error, 1 no answer') as never,
  handler: async (argv) => {
    if (!(argv.interval > 0)) throw new UsageError('--interval: must be a number of seconds')
    await withClient(argv, async (client) => {
      if (argv.watch) return watch(client, argv)
      const report = await look(client)
      print(written(report, argv.output))
      if (argv.check && report.problems.some(({ severity }) => severity === 'error')) process.exitCode = unwell
    })
  },
}

/** Asks for everything once. */
export async function look(client: ApiClient): Promise<StatusReport> {
  const [workloads, mesh, findings] = await Promise.all([
    workloadViews(client, {}),
    meshStatus(client),
    conditionFindings(client),
  ])
  const facts = { mesh, workloads, findings }
  return { api: client.server, ...facts, problems: statusProblems(facts, Date.now()) }
}

function written(report: StatusReport, output: Arguments['output']): string {
  if (output === 'json') return JSON.stringify(report, null, 2)
  if (output === 'yaml') return stringify(report)
  return statusText(report, { wide: output === 'wide', paint: paint(), now: Date.now() })
}

/** Until the person goes away. JSON comes one document a line, YAML with `---` before each. */
async function watch(client: ApiClient, { output, interval }: Arguments): Promise<void> {
  const signal = interruption()
  const terminal = process.stdout.isTTY === true && (output === undefined || output === 'wide')
  while (!signal.aborted) {
    const report = await look(client)
    if (output === 'json') print(JSON.stringify(report))
    else if (output === 'yaml') print(`---\n${stringify(report)}`)
    else print(`${terminal ? clearScreen : ''}${written(report, output)}${terminal ? '' : '\n\n'}`)
    await sleep(interval * 1000, signal).catch(() => undefined)
  }
}

/** Conditions of the control plane that say that something is not as its author meant it. */
async function conditionFindings(client: ApiClient): Promise<readonly Finding[]> {
  const told = kinds.filter(({ kind, group }) => hasConditions(kind, group))
  const lists = await Promise.all(told.map(async (kind) => ({ kind, objects: await listed(client, kind) })))
  return lists.flatMap(({ kind, objects }) =>
    objects.flatMap((object) =>
      conditionsIn(object)
        .filter((condition) => condition.status === 'False' && isOwn(condition))
        .map((condition) => ({
          object: objectName(kind, object.metadata.name),
          namespace: object.metadata.namespace ?? '',
          condition,
        })),
    ),
  )
}

/** Nothing where the API is a Kubernetes API server that does not have the kind. */
async function listed(client: ApiClient, kind: Kind): Promise<readonly MeshObject[]> {
  try {
    return (await client.list(kind)).items
  } catch (error: unknown) {
    if (error instanceof ApiError && error.status === 404) return []
    throw error
  }
}
