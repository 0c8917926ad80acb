// The configuration of `culvert agent`: one row per field. docs/CONFIG.md is written from it; the CLI makes flags of
// it.
import { execFileSync } from 'node:child_process'
import { type Config, optionalRow, requiredRow, row } from '../core/base/config.ts'
import { MeshError } from '../core/base/errors.ts'
import { durationMs, enumOf, hostPort, list, type Parser, path, someOf, string } from '../core/base/parsers.ts'

const hostName: Parser<string> = {
  type: 'host name',
  parse: (text) =>
    text.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(text)
      ? { ok: true, value: text }
      : { ok: false, reason: 'must be a host name of lower-case letters, digits, "-" and "."' },
}

export const agentRows = {
  host: requiredRow(hostName, 'name of this host, the one that its join token was made for'),
  control: requiredRow(
    someOf(list(hostPort), 'host:port'),
    "the control plane's feed, usually port 15012; of several replicas some or all, separated by commas",
  ),
  stateDir: row(
    path,
    '/var/lib/culvert/agent',
    'directory of the host certificate and the last good state; readable by nobody else',
  ),
  runDir: row(
    path,
    '/run/culvert',
    'directory of agent.sock and of the pinned network namespaces; shared with the daemon',
  ),
  workloadsDir: row(path, '/etc/culvert/workloads', 'directory with one YAML or JSON file per workload of this host'),
  token: optionalRow(string, 'join token, needed for the first start only; better given in a file'),
  tokenFile: optionalRow(path, 'file that holds the join token, needed for the first start only'),
  daemonUser: optionalRow(string, 'user that the daemon runs as, besides root'),
  reconcileInterval: row(durationMs, '5s', 'how often workloads and their redirection are looked at again'),
  releaseTimeout: row(durationMs, '5s', 'how long un-enrolment waits for peers to stop using the tunnel'),
  drainTimeout: row(
    durationMs,
    '30s',
    "how long a workload that leaves keeps the rules that its live connections need; longer than the daemon's drain-timeout",
  ),
  adminAddress: optionalRow(
    hostPort,
    'address of readiness, metrics and log level; none unless given; without authentication',
  ),
  logLevel: row(
    enumOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'info',
    'least severe level that is logged',
  ),
} as const

export type AgentConfig = Config<typeof agentRows>

/** Numbers of a user name. Throws CONFIG_INVALID where there is none. */
export function lookUpUser(name: string): { readonly uid: number; readonly gid: number } {
  try {
    const fields = execFileSync('getent', ['passwd', name], { encoding: 'utf8', timeout: 5000 }).split(':')
    return { uid: Number(fields[2]), gid: Number(fields[3]) }
  } catch (error: unknown) {
    throw new MeshError('CONFIG_INVALID', `--daemon-user: there is no user ${JSON.stringify(name)} on this host`, {
      cause: error,
    })
  }
}
