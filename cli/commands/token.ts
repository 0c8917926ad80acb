// `culvert token create`: a join token for one host.
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import { durationMs } from '../../core/base/parsers.ts'
import { type ApiArguments, apiOptions, complain, print, UsageError, withClient } from '../session.ts'
import { createToken } from '../tokens.ts'

interface Arguments extends ApiArguments {
  readonly host: string
  readonly identity: readonly string[]
  readonly ttl: string
  readonly cidr?: readonly string[] | undefined
  readonly output?: 'json' | 'yaml' | undefined
}

const identityPattern = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?\/(\*|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)$/

const create: CommandModule<object, Arguments> = {
  command: 'create',
  describe: 'Print a join token for one host: single-use, expiring, bound to the identities it may run',
  builder: (yargs) =>
    apiOptions(yargs)
      .option('host', {
        type: 'string',
        demandOption: 'name the host with --host',
        requiresArg: true,
        describe: 'host name',
      })
      .option('identity', {
        type: 'string',
        array: true,
        demandOption: 'say what the host may run with --identity NAMESPACE/SERVICE-ACCOUNT',
        requiresArg: true,
        describe: 'NAMESPACE/SERVICE-ACCOUNT or NAMESPACE/*; repeated or separated by commas',
      })
      .option('ttl', { type: 'string', default: '1h', requiresArg: true, describe: 'how long the token is valid' })
      .option('cidr', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'addresses that its workloads may have; without it, any that nobody else has',
      })
      .option('output', { alias: 'o', choices: ['json', 'yaml'] as const, describe: 'form of the output' })
      .example(
        '$0 token create --host h2 --identity shop/orders,shop/frontend',
        'for a host that runs two services',
      ) as never,
  handler: (argv) =>
    withClient(argv, async (client) => {
      const identities = argv.identity.flatMap((text) => text.split(',')).filter((text) => text !== '')
      const wrong = identities.find((identity) => !identityPattern.test(identity))
      if (wrong !== undefined) throw new UsageError(`"${wrong}" is not NAMESPACE/SERVICE-ACCOUNT or NAMESPACE/*`)
      const ttl = durationMs.parse(argv.ttl)
      if (!ttl.ok) throw new UsageError(`--ttl: ${ttl.reason}`)
      const cidrs = (argv.cidr ?? []).flatMap((text) => text.split(','))
      const created = await createToken(client, {
        host: argv.host,
        identities,
        ttlSeconds: Math.max(1, Math.round(ttl.value / 1_000)),
        ...(cidrs.length === 0 ? {} : { cidrs }),
      })
      if (argv.output === 'yaml') print(stringify(created))
      else print(argv.output === 'json' ? JSON.stringify(created, null, 2) : created.token)
      if (argv.output === undefined && process.stdout.isTTY) {
        complain(
          `valid once, until ${created.expires}; on ${argv.host}: culvert join --token … or culvert agent --token …`,
        )
      }
    }),
}

export const tokenCommand: CommandModule = {
  command: 'token <command>',
  describe: 'Join tokens for hosts',
  builder: (yargs) =>
    yargs
      .command(create as unknown as CommandModule)
      .example('$0 token create --host h2 --identity shop/orders', 'for a host that runs one service')
      .demandCommand(1, 'name what to do: create'),
  handler: () => {},
}
