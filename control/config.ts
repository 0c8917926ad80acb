// The configuration of `culvert control`: one row per field. docs/CONFIG.md is written from it; the CLI makes flags of it.
import { type Config, optionalRow, row } from '../core/base/config.ts'
import {
  boolean,
  durationMs,
  enumOf,
  hostPort,
  integer,
  list,
  type Parser,
  path,
  string,
  unlimitedOr,
} from '../core/base/parsers.ts'

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

const etcdEndpoint: Parser<URL> = {
  type: 'URL of http or https',
  parse: (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    const fits = url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:')
    if (!fits || url.pathname !== '/' || url.search !== '' || url.hash !== '') {
      return { ok: false, reason: `must be like https://etcd-1.example:2379, not ${JSON.stringify(text.slice(0, 60))}` }
    }
    if (url.username === '' && url.password === '') return { ok: true, value: url }
    return { ok: false, reason: 'must not hold a user or password: there are fields of their own for them' }
  },
}

const etcdPrefix: Parser<string> = {
  type: 'key prefix',
  parse: (text) =>
    /^\/(?:[A-Za-z0-9._-]+\/)+$/.test(text)
      ? { ok: true, value: text }
      : { ok: false, reason: 'must begin and end with "/", with letters, digits, ".", "_" and "-" between' },
}

export const controlRows = {
  stateDir: row(
    path,
    '/var/lib/culvert/control',
    'directory of the store, the certificate authority and the API token; readable by nobody else',
  ),
  store: row(
    enumOf(['sqlite', 'etcd']),
    'sqlite',
    'where the resources are kept: a file of its own in the state directory, or an etcd that several control planes share',
  ),
  etcdEndpoints: row(list(etcdEndpoint), '', 'the members of etcd (3.4 or newer), such as https://etcd-1.example:2379'),
  etcdPrefix: row(etcdPrefix, '/culvert/', 'what the keys in etcd begin with; control planes of one mesh share it'),
  etcdCa: optionalRow(
    path,
    'PEM file of the authorities that sign the certificates of etcd, instead of those of the system',
  ),
  etcdCert: optionalRow(path, 'PEM file of the client certificate for etcd, with etcdKey'),
  etcdKey: optionalRow(path, 'PEM file of the key of etcdCert'),
  etcdUser: optionalRow(string, 'user in etcd, with etcdPasswordFile'),
  etcdPasswordFile: optionalRow(path, 'file with the password of etcdUser; a line end at its end does not count'),
  etcdHistory: row(
    unlimitedOr(integer(1000, 100_000_000)),
    '10000',
    'revisions that etcd keeps at least, of all that use it; older ones are compacted; unlimited leaves that to etcd',
  ),
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
