// Kernel settings of a captured namespace (DESIGN §4): source-preserving connects to one port need fast reuse of
// closed ports and many of them, listener hand-over needs request migration, replies to the daemon need its mark. Pure; apply.ts
// reads and writes.

/** Path under /proc/sys → value, single spaces. */
export type Sysctls = Readonly<Record<string, string>>

const names = {
  timeWaitReuse: 'net/ipv4/tcp_tw_reuse',
  portRange: 'net/ipv4/ip_local_port_range',
  reservedPorts: 'net/ipv4/ip_local_reserved_ports',
  migrateRequests: 'net/ipv4/tcp_migrate_req',
  /** On: an accepted socket has the mark of the SYN that it comes from, and its packets are routed by it (rules.ts). */
  acceptMark: 'net/ipv4/tcp_fwmark_accept',
  /**
   * Off: a connection that conntrack meets in its middle, because it is older than the capture, goes on untracked and undiverted.
   * On, its next packet would count as new and be diverted to a listener that does not know it. Matching only SYN in the rules
   * instead would leave entries without NAT, made by any ACK, for the SYN of a stranger to find.
   */
  pickUp: 'net/netfilter/nf_conntrack_tcp_loose',
} as const

/** The settings that we change; IPv6 obeys the same ones. */
export const sysctlNames: readonly string[] = Object.values(names)
/** Read only: where it is missing or 1, the namespace has no IPv6. */
export const ipv6Disabled = 'net/ipv6/conf/lo/disable_ipv6'

/**
 * Wide, but above the ports that servers usually listen on: an ephemeral port in use keeps a server from binding it.
 */
const wideRange = { first: 10240, last: 65535 } as const
const meshPorts = '15000-15099'

/**
 * What the settings should be, given what they were before enrolment. A range wider than ours is kept; the mesh's
 * ports and the workload's own are taken out of it. Settings that this kernel lacks are left out.
 */
export function desiredSysctls(before: Sysctls, workloadPorts: readonly number[]): Sysctls {
  const wanted: Record<string, string> = {}
  if (before[names.timeWaitReuse] !== undefined) wanted[names.timeWaitReuse] = '1'
  if (before[names.migrateRequests] !== undefined) wanted[names.migrateRequests] = '1'
  if (before[names.acceptMark] !== undefined) wanted[names.acceptMark] = '1'
  if (before[names.pickUp] !== undefined) wanted[names.pickUp] = '0'
  const range = before[names.portRange]
  if (range !== undefined) {
    const [first = wideRange.first, last = wideRange.last] = range.split(' ').map(Number)
    wanted[names.portRange] = `${Math.min(first, wideRange.first)} ${Math.max(last, wideRange.last)}`
  }
  const reserved = before[names.reservedPorts]
  if (reserved !== undefined) wanted[names.reservedPorts] = reservedWith(reserved, workloadPorts)
  return wanted
}

/** Merges port ranges into the kernel's spelling: ascending, touching ranges joined. */
export function reservedWith(reserved: string, ports: readonly number[]): string {
  const ranges = [...reserved.split(','), meshPorts, ...ports.map(String)]
    .filter((part) => part.trim() !== '')
    .map((part) => part.split('-').map(Number))
    .map(([first = 0, last = first]) => ({ first, last }))
    .sort((a, b) => a.first - b.first)
  const merged: { first: number; last: number }[] = []
  for (const range of ranges) {
    const previous = merged.at(-1)
    if (previous !== undefined && range.first <= previous.last + 1) previous.last = Math.max(previous.last, range.last)
    else merged.push({ ...range })
  }
  return merged.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}

/** The settings whose present value differs from the wanted one. */
export function differing(wanted: Sysctls, present: Sysctls): Sysctls {
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => present[name] !== value))
}

/** A shell script that prints `name=value` for each setting that exists. */
export function readScript(paths: readonly string[]): string {
  const lines = paths.map((path) => `[ -r /proc/sys/${path} ] && echo "${path}=$(cat /proc/sys/${path})"\n`)
  return [...lines, 'true\n'].join('')
}

/** Reads what `readScript` printed. */
export function parseSysctls(text: string): Sysctls {
  const pairs = text
    .split('\n')
    .map((line) => /^([a-z0-9_/]+)=(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map((match) => [match[1] ?? '', (match[2] ?? '').trim().replaceAll(/\s+/g, ' ')] as const)
  return Object.fromEntries(pairs)
}

/**
 * A shell script that sets the values; it stops at the first failure. Values are digits, commas, dashes and spaces
 * only.
 */
export function writeScript(values: Sysctls): string {
  const lines = Object.entries(values).map(([path, value]) => {
    if (!/^[a-z0-9_/]+$/.test(path) || !/^[0-9 ,-]*$/.test(value))
      throw new TypeError(`not a setting: ${path}=${value}`)
    return `echo '${value}' > /proc/sys/${path}\n`
  })
  return `set -e\n${lines.join('')}`
}
