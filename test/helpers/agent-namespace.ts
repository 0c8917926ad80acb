// Network namespaces for the agent's netns tests: a workload namespace and a peer, joined by a veth pair, removed at the end.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'

export interface TestNamespaces {
  /** Path of the workload's namespace; addresses 10.77.0.2/24 and fd77::2/64. */
  readonly workload: string
  /** Path of the peer's namespace; addresses 10.77.0.1/24 and fd77::1/64. */
  readonly peer: string
  readonly names: { readonly workload: string; readonly peer: string }
  remove(): void
}

export const addresses = {
  workload: { ipv4: '10.77.0.2', ipv6: 'fd77::2' },
  peer: { ipv4: '10.77.0.1', ipv6: 'fd77::1' },
} as const

export function run(program: string, ...argv: readonly string[]): string {
  return execFileSync(program, argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 10_000 })
}

export function createNamespaces(): TestNamespaces {
  const id = randomBytes(3).toString('hex')
  const names = { workload: `cvag-${id}-w`, peer: `cvag-${id}-p` }
  for (const name of Object.values(names)) run('ip', 'netns', 'add', name)
  run('ip', '-n', names.workload, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', names.peer)
  for (const side of ['workload', 'peer'] as const) {
    const name = names[side]
    run('ip', '-n', name, 'link', 'set', 'lo', 'up')
    // link-local addresses and their routes would appear at some later moment
    run('ip', '-n', name, 'link', 'set', 'eth0', 'addrgenmode', 'none')
    run('ip', '-n', name, 'link', 'set', 'eth0', 'up')
    run('ip', '-n', name, 'address', 'add', `${addresses[side].ipv4}/24`, 'dev', 'eth0')
    run('ip', '-n', name, 'address', 'add', `${addresses[side].ipv6}/64`, 'dev', 'eth0', 'nodad')
  }
  return {
    names,
    workload: `/run/netns/${names.workload}`,
    peer: `/run/netns/${names.peer}`,
    remove: () => {
      const present = run('ip', 'netns', 'list')
      for (const name of Object.values(names)) if (present.includes(name)) run('ip', 'netns', 'del', name)
    },
  }
}

/** Everything that redirection may touch in a namespace, as text without counters and dates. */
export function trace(netns: string): string {
  const inside = (...argv: readonly string[]): string => run('nsenter', `--net=${netns}`, '--', ...argv)
  const saved = (program: string): string =>
    inside(program)
      .split('\n')
      .filter((line) => !line.startsWith('#') && !/^(\*|:[A-Z]+ ACCEPT|COMMIT|$)/.test(line))
      .join('\n')
  const settings = [
    ...['tcp_tw_reuse', 'ip_local_port_range', 'ip_local_reserved_ports', 'tcp_migrate_req', 'tcp_fwmark_accept'].map(
      (name) => `ipv4/${name}`,
    ),
    'netfilter/nf_conntrack_tcp_loose',
  ]
  return [
    saved('iptables-save'),
    saved('ip6tables-save'),
    ...['-4', '-6'].flatMap((family) => [
      inside('ip', family, 'rule', 'show'),
      inside('ip', family, 'route', 'show', 'table', 'all'),
    ]),
    ...settings.map((name) => `${name}=${inside('cat', `/proc/sys/net/${name}`)}`),
  ].join('\n')
}
