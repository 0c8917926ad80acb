// `culvert explain SRC DST`: what would happen to one connection, and why. Asks the control plane, which runs the functions of the
// proxies on the published model; `--live` has it ask the daemons at both ends too.
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import type { Explanation, LiveExplanation } from '../../core/model/explanation.ts'
import { explanationText } from '../explain-text.ts'
import { type ApiArguments, apiOptions, paint, print, UsageError, withClient } from '../session.ts'

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

/** With `--check`: neither a failure nor a wrong command line, the answer itself is no. */
const refusedCode = 3

export const explainCommand: CommandModule<object, Arguments> = {
  command: 'explain <source> <destination>',
  describe: 'Explain what happens to a connection, and which rule decides',
  builder: (yargs) =>
    apiOptions(yargs)
      .positional('source', { type: 'string', describe: 'workload (NAME.NAMESPACE, NAMESPACE/NAME) or address' })
      .positional('destination', { type: 'string', describe: 'workload, service, host name or address, with :PORT' })
      .option('namespace', {
        alias: 'n',
        type: 'string',
        requiresArg: true,
        describe: 'where a bare source name is looked for',
      })
      .option('method', { type: 'string', requiresArg: true, describe: 'of the request' })
      .option('path', { type: 'string', requiresArg: true, describe: 'of the request' })
      .option('header', { type: 'string', array: true, requiresArg: true, describe: '"Name: value", more than once' })
      .option('live', { type: 'boolean', default: false, describe: 'ask the daemons at both ends whether they agree' })
      .option('check', {
        type: 'boolean',
        default: false,
        describe: `end with ${refusedCode} where the connection is refused, or a daemon disagrees`,
      })
      .option('output', { alias: 'o', choices: ['json', 'yaml'] as const, describe: 'form of the output' })
      .example('$0 explain client.shop orders.shop:8080', 'may the client call orders, and as whom')
      .example('$0 explain shop/client 10.0.0.7:5432 --live', 'and do the daemons agree')
      .example('$0 explain client.shop orders:80 --check -o json', 'for scripts') as never,
  handler: (argv) =>
    withClient(argv, async (client) => {
      const explanation = (await client.json('GET', `/culvert/v1/explain?${query(argv)}`)) as Explanation
      if (argv.output === 'json') print(JSON.stringify(explanation, null, 2))
      else if (argv.output === 'yaml') print(stringify(explanation))
      else print(explanationText(explanation, paint()))
      if (argv.check && !isWell(explanation)) process.exitCode = refusedCode
    }),
}

function query({ source, destination, namespace, method, path, header = [], live }: Arguments): string {
  for (const line of header) {
    if (!line.includes(':')) throw new UsageError(`--header "${line}" is not "Name: value"`)
  }
  const given = Object.entries({ source, destination, namespace, method, path }).filter(
    ([, text]) => text !== undefined,
  )
  const parameters = new URLSearchParams(given as [string, string][])
  for (const line of header) parameters.append('header', line)
  if (live) parameters.set('live', 'true')
  return String(parameters)
}

function isWell(explanation: Explanation | LiveExplanation): boolean {
  const agreed = !('live' in explanation) || explanation.live.every(({ differences }) => differences.length === 0)
  return (explanation.verdict === 'allowed' || explanation.verdict === 'not-captured') && agreed
}
