// The configuration of `culvert control`: one row per field. docs/CONFIG.md is written from it; the CLI makes flags of it.
import { type Config, optionalRow, row } from '../core/base/config.ts'
import { boolean, durationMs, enumOf, hostPort, list, type Parser, path, string } from '../core/base/parsers.ts'

const minLeafLifetimeMs = 10_000

const lifetime: Parser<number> = {
  type: 'duration from 10s',
  parse: (text) => {
    const parsed = durationMs.parse(text)
    if (!parsed.ok || parsed.value >= minLeafLifetimeMs) return parsed
    return { ok: false, reason: `must be at least 10s, not ${text}: shorter lives end before they are renewed` }
  },
}

const trustDomain: Parser<string> = {
  type: 'trust domain',
  parse: (text) =>
    /^[a-z0-9._-]{1,255}$/.test(text)
      ? { ok: true, value: text }
      : { ok: false, reason: 'must be lower-case letters, digits, ".", "_" and "-"' },
}

export const controlRows = {
  stateDir: row(
    path,
    '/var/lib/culvert/control',
    'directory of the store, the certificate authority and the API token; readable by nobody else',
  ),
  store: row(enumOf(['sqlite', 'etcd']), 'sqlite', 'where resources are kept; replicas share an etcd'),
  caKeyFile: optionalRow(
    path,
    'file with the key (any text of 16 characters or more) that seals the signing keys, which are then kept in the store; replicas need the same',
  ),
  caPassphrase: optionalRow(string, 'the same as a passphrase; better given in CULVERT_CA_PASSPHRASE than as a flag'),
  feedAdvertise: row(
    list(hostPort),
    '',
    'where hosts reach the feed of this replica, for hosts that are connected to another one; the feed address where that is no wildcard',
  ),
  config: optionalRow(path, 'directory of *.yaml, *.yml and *.json resources that are applied and followed'),
  apiAddress: row(hostPort, '127.0.0.1:15010', 'IP address and port of the API'),
  apiNames: row(
    list(string),
    '',
    'further DNS names and IP addresses by which the API is reached, for its certificate',
  ),
  feedAddress: row(hostPort, '0.0.0.0:15012', 'IP address and port to which hosts connect'),
  feedNetns: optionalRow(path, 'network namespace in which the feed listens, instead of the own one'),
  trustDomain: row(trustDomain, 'cluster.local', 'trust domain of all identities; it cannot be changed later'),
  clusterName: row(string, 'Kubernetes', 'name of this cluster in telemetry'),
  leafLifetime: row(lifetime, '24h', 'how long the certificates of workloads live; they are renewed at half of it'),
  hostLifetime: row(
    lifetime,
    '30d',
    'how long the certificates of hosts live: a host that is away for longer needs a new token',
  ),
  istioLabels: row(boolean, 'true', "whether Istio's labels, annotations and root namespace count besides Culvert's"),
  logLevel: row(
    enumOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'info',
    'least severe level that is logged',
  ),
} as const

export type ControlConfig = Config<typeof controlRows>
