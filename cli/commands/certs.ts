// `culvert certs`: which certificates hosts and workloads have, and when they end.
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import { parseIdentity } from '../../core/identity/spiffe.ts'
import type { CertificateStatus } from '../../core/model/mesh-status.ts'
import type { ApiClient } from '../client.ts'
import { age, type Paint, table } from '../render.ts'
import { type ApiArguments, apiOptions, complain, paint, print, withClient } from '../session.ts'

interface Arguments extends ApiArguments {
  readonly namespace?: string | undefined
  readonly host?: string | undefined
  readonly output?: 'json' | 'yaml' | 'wide' | undefined
}

export const certsCommand: CommandModule<object, Arguments> = {
  command: 'certs',
  describe: 'List the certificates of hosts and workloads, those that end first at the top',
  builder: (yargs) =>
    apiOptions(yargs)
      .option('namespace', { alias: 'n', type: 'string', requiresArg: true, describe: 'only of this namespace' })
      .option('host', { type: 'string', requiresArg: true, describe: 'only on this host' })
      .option('output', {
        alias: 'o',
        choices: ['json', 'yaml', 'wide'] as const,
        describe: 'form of the output; wide has times in full',
      })
      .example('$0 certs -n shop', 'those of a namespace')
      .example('$0 certs --host h1 -o wide', 'those on a host, with serial numbers and times in full') as never,
  handler: (argv) =>
    withClient(argv, async (client) => {
      const found = (await certificates(client)).filter(
        ({ host, identity }) =>
          (argv.host === undefined || host === argv.host) &&
          (argv.namespace === undefined || namespaceOf(identity) === argv.namespace),
      )
      if (argv.output === 'json') print(JSON.stringify(found, null, 2))
      else if (argv.output === 'yaml') print(stringify(found))
      else if (found.length === 0) complain('No certificates found.')
      else print(certificateTable(found, argv.output === 'wide', paint(), Date.now()))
    }),
}

async function certificates(client: ApiClient): Promise<readonly CertificateStatus[]> {
  const body = await client.json('GET', '/culvert/v1/certificates')
  const { certificates: all } = body as { readonly certificates: readonly CertificateStatus[] }
  return all.toSorted((a, b) => Date.parse(a.notAfter) - Date.parse(b.notAfter))
}

/** Undefined for the identity of a host. */
function namespaceOf(identity: string): string | undefined {
  try {
    return parseIdentity(identity).namespace
  } catch {
    return undefined
  }
}

/** @param now milliseconds since 1970 */
export function certificateTable(all: readonly CertificateStatus[], wide: boolean, paint: Paint, now: number): string {
  const rows = all.map(({ host, identity, serial, notBefore, notAfter }) => {
    const leftMs = Date.parse(notAfter) - now
    const left = leftMs > 0 ? `${age(leftMs)} left` : `expired ${age(-leftMs)} ago`
    const isLate = leftMs < 0.1 * (Date.parse(notAfter) - Date.parse(notBefore ?? notAfter))
    const times = wide ? [serial, notBefore ?? '-', notAfter] : [serial.slice(0, 12)]
    return [host, identity, ...times, leftMs <= 0 ? paint('red', left) : isLate ? paint('yellow', left) : left]
  })
  const headers = wide ? ['SERIAL', 'NOT-BEFORE', 'NOT-AFTER'] : ['SERIAL']
  return table(['HOST', 'IDENTITY', ...headers, 'EXPIRES'], rows)
}
