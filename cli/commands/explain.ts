// `culvert explain`: what happens to a connection and why, computed by the control plane with the functions of the proxies;
// `--live` confirms it by asking the proxies at both ends.
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import type { Explanation, LiveExplanation, LiveReport } from '../../core/model/explanation.ts'
import { type ApiClient, ApiError } from '../client.ts'
import { explanationText } from '../explanation-text.ts'
import { type ApiArguments, apiOptions, Failed, paint, print, UsageError, withClient } from '../session.ts'

interface Arguments extends ApiArguments {
  readonly source: string
  readonly destination: string
  readonly namespace?: string | undefined
  readonly method?: string | undefined
  readonly path?: string | undefined
  readonly header?: readonly string[] | undefined
  readonly live: boolean
  readonly check: boolean
  readonly output?: 'json' | 'yaml' | undefined
}

/** With `--check`: the connection, or one of its ways, does not come to be. */
const refusedExit = 3

export const explainCommand: CommandModule<object, Arguments> = {
  command: 'explain <source> <destination>',
  describe: 'Explain what happens to a connection, and because of what',
  builder: (yargs) =>
    apiOptions(yargs)
      .positional('source', { type: 'string', demandOption: true, describe: 'NAMESPACE/NAME, NAME.NAMESPACE or IP' })
      .positional('destination', {
        type: 'string',
        demandOption: true,
        describe: 'workload, service, host name or IP, with :PORT unless it has only one',
      })
      .option('namespace', {
        alias: 'n',
        type: 'string',
        describe: 'where a bare name of a source is looked up (default: everywhere)',
      })
      .option('method', { type: 'string', describe: 'HTTP method of the request' })
      .option('path', { type: 'string', describe: 'path of the request' })
      .option('header', { type: 'string', array: true, nargs: 1, describe: "'Name: value', as often as needed" })
      .option('live', { type: 'boolean', default: false, describe: 'ask the proxies at both ends, too' })
      .option('check', { type: 'boolean', default: false, describe: `end with ${refusedExit} if it does not pass` })
      .option('output', { alias: 'o', choices: ['json', 'yaml'] as const, describe: 'form of the output' })
      .example('$0 explain shop/frontend-1 orders.shop:80', 'may the frontend call the service?')
      .example('$0 explain frontend-1 orders.shop:80 -n shop --live', 'and do the proxies see it the same way?')
      .example('$0 explain 10.0.0.9 10.1.0.7:8080 -o json', 'between addresses, for a script')
      .example(
        '$0 explain shop/frontend-1 orders.shop:80 --check',
        `for a monitor: 0 passes, ${refusedExit} refused, 1 no answer`,
      ) as never,
  handler: (argv) => withClient(argv, (client) => run(client, argv)),
}

async function run(client: ApiClient, argv: Arguments): Promise<void> {
  const path = `/culvert/v1/explain?${queryOf(argv)}`
  const first = await ask(client, path)
  const explanation = 'live' in first ? { ...first, live: await confirmedBy(client, path, first.live) } : first
  if (argv.output === 'json') print(JSON.stringify(explanation, null, 2))
  else if (argv.output === 'yaml') print(stringify(explanation))
  else print(explanationText(explanation, paint()))
  const passes = explanation.verdict === 'allowed' || explanation.verdict === 'not-captured'
  if (argv.check && !passes) process.exitCode = refusedExit
}

/** Parameters of `GET /culvert/v1/explain`. Throws UsageError. */
export function queryOf(
  argv: Pick<Arguments, 'source' | 'destination' | 'namespace' | 'method' | 'path' | 'header' | 'live'>,
): string {
  const { source, destination, namespace, method, path, header = [], live } = argv
  if (source === '' || destination === '') throw new UsageError('explain needs a source and a destination')
  const wrong = header.find((line) => !/^[^\s:]+:/.test(line))
  if (wrong !== undefined) throw new UsageError(`header "${wrong}" is not 'Name: value'`)
  const query = new URLSearchParams({ source, destination })
  for (const [name, value] of Object.entries({ namespace, method, path })) if (value) query.set(name, value)
  for (const line of header) query.append('header', line)
  if (live) query.set('live', 'true')
  return query.toString()
}

/** Reports of hosts that are connected to other replicas, from these; as they were where a replica cannot be reached from here. */
async function confirmedBy(
  client: ApiClient,
  path: string,
  live: readonly LiveReport[],
): Promise<readonly LiveReport[]> {
  const others = new Map<string, Promise<readonly LiveReport[]>>()
  for (const { api } of live) if (api !== undefined && !others.has(api)) others.set(api, reportsOf(client, api, path))
  return await Promise.all(
    live.map(async (report) => {
      const theirs = report.api === undefined ? [] : await others.get(report.api)!
      return theirs.find(({ host, failed }) => host === report.host && failed === undefined) ?? report
    }),
  )
}

async function reportsOf(client: ApiClient, api: string, path: string): Promise<readonly LiveReport[]> {
  const server = URL.parse(api)
  if (server?.protocol !== 'https:') return []
  const other = client.at(server)
  try {
    const answer = await ask(other, path)
    return 'live' in answer ? answer.live : []
  } catch {
    // the report says already where the host is connected
    return []
  } finally {
    other.close()
  }
}

async function ask(client: ApiClient, path: string): Promise<Explanation | LiveExplanation> {
  try {
    return (await client.json('GET', path)) as Explanation | LiveExplanation
  } catch (error: unknown) {
    // a Kubernetes API server knows no such path; ours says what it did not find
    const foreign = error instanceof ApiError && error.status === 404 && !/^(no |service )/.test(error.message)
    if (!foreign) throw error
    throw new Failed(`${client.server} does not explain: ${error.message}`)
  }
}
