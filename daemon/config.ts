// The configuration of `culvert daemon`: one row per field. docs/CONFIG.md is written from it; the CLI makes flags of it.
import { availableParallelism } from 'node:os'
import { type Config, row } from '../core/base/config.ts'
import { durationMs, enumOf, hostPort, integer, type Parser, path, unlimitedOr } from '../core/base/parsers.ts'

const integers = integer(1, 64)

/** Half of the cores: the workloads of the host need theirs. */
export function defaultWorkers(cores: number): number {
  return Math.max(1, Math.min(8, Math.ceil(cores / 2)))
}

/** What affinity and cgroup limits leave of the machine counts as its cores. */
const workerCount: Parser<number> = {
  type: `auto or ${integers.type}`,
  parse: (text) =>
    text === 'auto' ? { ok: true, value: defaultWorkers(availableParallelism()) } : integers.parse(text),
}

export const daemonRows = {
  stateDir: row(
    path,
    '/var/lib/culvert/daemon',
    "directory of the daemon's keys, certificates and last state; readable by nobody else",
  ),
  runDir: row(path, '/run/culvert', 'directory of the agent socket, agent.sock'),
  adminAddress: row(
    hostPort,
    '127.0.0.1:15000',
    'address of the admin server; it has no authentication: keep it on loopback',
  ),
  metricsAddress: row(hostPort, '0.0.0.0:15020', 'address of /metrics and /stats/prometheus'),
  healthAddress: row(hostPort, '0.0.0.0:15021', 'address of /healthz/ready'),
  workers: row(
    workerCount,
    'auto',
    'data workers, each with its own listeners, tunnels and event loop; auto: half of the cores that the daemon may use, at most 8',
  ),
  logLevel: row(
    enumOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'info',
    'least severe level that is logged; the access log is info',
  ),
  drainTimeout: row(
    unlimitedOr(durationMs),
    '25s',
    'how long live connections may go on when the daemon or a workload stops; `unlimited`: until the last one ends',
  ),
  connectTimeout: row(durationMs, '10s', 'longest wait for an application to accept an inbound connection'),
  establishTimeout: row(durationMs, '20s', 'longest wait for an outbound connection, the tunnel included'),
  maxConnections: row(integer(1, 1_000_000), '20000', 'most open connections of one workload on one worker'),
  maxTotalConnections: row(
    integer(0, 10_000_000),
    '0',
    'most open connections of all workloads on one worker, the last eighth only for workloads that have few; 0: as many as the limit of open files is enough for',
  ),
  maxPending: row(integer(1, 1_000_000), '4096', 'most connections of one workload on one worker that wait to be made'),
} as const

export type DaemonConfig = Config<typeof daemonRows>
