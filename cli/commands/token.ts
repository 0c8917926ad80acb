// `culvert token create`: a join token for one host.
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import { durationMs } from '../../core/base/parsers.ts'
import { type ApiArguments, apiOptions, complain, print, UsageError, withClient } from '../session.ts'
import { createToken } from '../tokens.ts'

interface Arguments extends ApiArguments {
  readonly host?: string | undefined
  readonly identity?: readonly string[] | undefined
  readonly waypoint?: readonly string[] | undefined
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
        requiresArg: true,
        describe:
          'host name; of an instance of a waypoint INSTANCE.NAMESPACE, and without it that of the instance with the name of the Gateway',
      })
      .option('identity', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'NAMESPACE/SERVICE-ACCOUNT or NAMESPACE/*; repeated or separated by commas',
      })
      .option('waypoint', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'NAMESPACE/GATEWAY: the host is an instance of that waypoint',
      })
      .option('ttl', { type: 'string', default: '1h', requiresArg: true, describe: 'how long the token is valid' })
      .option('cidr', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'addresses that its workloads may have; without it, any that nobody else has',
      })
      .option('output', { alias: 'o', choices: ['json', 'yaml'] as const, describe: 'form of the output' })
      .example('$0 token create --host h2 --identity shop/orders,shop/frontend', 'for a host that runs two services')
      .example('$0 token create --waypoint shop/wp', 'for an instance of a waypoint: its host is wp.shop')
      .example('$0 token create --host wp-2.shop --waypoint shop/wp', 'for another one: --instance wp-2') as never,
  handler: (argv) =>
    withClient(argv, async (client) => {
      const identities = identitiesOf(argv)
      const host = hostOf(argv)
      const ttl = durationMs.parse(argv.ttl)
      if (!ttl.ok) throw new UsageError(`--ttl: ${ttl.reason}`)
      const cidrs = (argv.cidr ?? []).flatMap((text) => text.split(','))
      const created = await createToken(client, {
        host,
        identities,
        ttlSeconds: Math.max(1, Math.round(ttl.value / 1_000)),
        ...(cidrs.length === 0 ? {} : { cidrs }),
        ...(argv.identity === undefined ? { waypoint: true } : {}),
      })
      if (argv.output === 'yaml') print(stringify(created))
      else print(argv.output === 'json' ? JSON.stringify(created, null, 2) : created.token)
      if (argv.output === undefined && process.stdout.isTTY) {
        const start =
          argv.waypoint === undefined
            ? 'culvert join --token … or culvert agent --token …'
            : 'culvert waypoint --token …'
        complain(`valid once, until ${created.expires}; on ${host}: ${start}`)
      }
    }),
}

function listed(texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) => text.split(',')).filter((text) => text !== '')
}

/** `culvert waypoint` joins as INSTANCE.NAMESPACE, and its first instance has the name of the Gateway. Throws UsageError. */
function hostOf({ host, identity = [], waypoint = [] }: Arguments): string {
  if (host !== undefined) return host
  const [only = '', ...others] = listed(waypoint)
  const [namespace, name] = only.split('/')
  if (identity.length > 0 || others.length > 0 || name === undefined) throw new UsageError('name the host with --host')
  return `${name}.${namespace}`
}

/** The identity of a waypoint is the service account that has the name of its Gateway. Throws UsageError. */
function identitiesOf({ identity = [], waypoint = [] }: Arguments): readonly string[] {
  const [identities, waypoints] = [listed(identity), listed(waypoint)]
  if (identities.length + waypoints.length === 0) {
    throw new UsageError(
      'say what the host may run with --identity NAMESPACE/SERVICE-ACCOUNT or --waypoint NAMESPACE/GATEWAY',
    )
  }
  const wrong = identities.find((text) => !identityPattern.test(text))
  if (wrong !== undefined) throw new UsageError(`"${wrong}" is not NAMESPACE/SERVICE-ACCOUNT or NAMESPACE/*`)
  const wide = waypoints.find((text) => !identityPattern.test(text) || text.endsWith('/*'))
  if (wide !== undefined) throw new UsageError(`"${wide}" is not NAMESPACE/GATEWAY`)
  return [...new Set([...identities, ...waypoints])]
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
