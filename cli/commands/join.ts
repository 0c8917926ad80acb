// `culvert join`: only the joining of the agent, so that the token need not stay on the host.
import { chmodSync, mkdirSync } from 'node:fs'
import type { CommandModule } from 'yargs'
import { parseConfig } from '../../core/base/config.ts'
import { deadline } from '../../core/base/deadline.ts'
import { nullLogger } from '../../core/base/log.ts'
import { print, UsageError } from '../session.ts'

interface Arguments {
  readonly host: string
  readonly control: string
  readonly stateDir: string
  readonly token?: string | undefined
  readonly tokenFile?: string | undefined
  readonly timeout: number
}

export const joinCommand: CommandModule<object, Arguments> = {
  command: 'join',
  describe: 'Join this host to a mesh with a token, without starting the agent',
  builder: (yargs) =>
    yargs
      .option('host', { type: 'string', demandOption: true, requiresArg: true, describe: 'name of this host' })
      .option('control', { type: 'string', demandOption: true, requiresArg: true, describe: 'HOST:PORT of the feed' })
      .option('state-dir', {
        type: 'string',
        default: '/var/lib/culvert/agent',
        requiresArg: true,
        describe: "the agent's state directory",
      })
      .option('token', { type: 'string', requiresArg: true, describe: 'join token; better given in a file' })
      .option('token-file', { type: 'string', requiresArg: true, describe: 'file that holds the join token' })
      .option('timeout', { type: 'number', default: 30, requiresArg: true, describe: 'seconds' })
      .example(
        '$0 join --host h2 --control 10.0.0.1:15012 --token-file token',
        'join before the agent starts',
      ) as never,
  handler: join,
}

async function join(argv: Arguments): Promise<void> {
  const { readFileSync } = await import('node:fs')
  const { agentRows } = await import('../../agent/config.ts')
  const { HostCertificate } = await import('../../core/feed/host-certificate.ts')
  const { joinMesh } = await import('../../core/feed/join.ts')
  if (argv.token === undefined && argv.tokenFile === undefined) throw new UsageError('give --token-file or --token')
  const { host, control, stateDir } = agentRows
  const config = parseConfig({ host, control, stateDir }, { flags: { ...argv } })
  const log = nullLogger()
  const known = await HostCertificate.load(config.stateDir, config.host, log)
  if (known !== undefined) {
    print(`host ${config.host} has joined ${known.credentials.trustDomain} already`)
    return
  }
  const token = argv.token ?? readFileSync(argv.tokenFile!, 'utf8')
  const signal = deadline(argv.timeout * 1_000)
  const credentials = await joinMesh({ control: config.control[0]!, host: config.host, token: token.trim(), signal })
  mkdirSync(config.stateDir, { recursive: true, mode: 0o700 })
  chmodSync(config.stateDir, 0o700)
  await HostCertificate.adopt(config.stateDir, credentials, log)
  print(`host ${config.host} has joined ${credentials.trustDomain}`)
}
