// Builds and removes the namespaces and links of a lab. Nothing is made in the machine's own namespace.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { rmdir, writeFile } from 'node:fs/promises'
import { type LabPlan, netnsPrefix, networkSteps, placesOf } from './addressing.ts'
import { runCommand, tryCommand } from './command.ts'

export const netnsFolder = '/run/netns'

export function netnsPath(netns: string): string {
  return `${netnsFolder}/${netns}`
}

/** Says that a lab, and not the machine, made `/run/netns` a mount point (as `ip netns add` does at its first use). */
const netnsFolderMarker = '/run/culvert-lab/made-netns-folder'

function isMountPoint(folder: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === folder)
}

/** To be called before the first namespace is made. */
function noteNetnsFolder(): void {
  if (!isMountPoint(netnsFolder)) writeFileSync(netnsFolderMarker, '')
}

/** Takes `/run/netns` away again where a lab has brought it and nobody has a namespace in it. */
export async function removeNetnsFolder(): Promise<void> {
  if (!existsSync(netnsFolderMarker)) return
  // Not lazy: where somebody makes a namespace at this moment, the folder is busy and stays.
  const empty = existsSync(netnsFolder) && readdirSync(netnsFolder).length === 0
  if (!empty || (await tryCommand('umount', [netnsFolder])).code !== 0) return
  await rmdir(netnsFolder).catch(() => {})
  rmSync(netnsFolderMarker, { force: true })
}

/** Names of all network namespaces of a lab. */
export async function listNamespaces(lab: string): Promise<readonly string[]> {
  const { stdout } = await tryCommand('ip', ['netns', 'list'])
  const prefix = netnsPrefix(lab)
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name.startsWith(prefix))
}

/** Creates every namespace, link, address and route of the plan. Throws LAB_FAILED; the caller then removes the lab. */
export async function createNetwork(plan: LabPlan, signal?: AbortSignal): Promise<void> {
  const abort = signal === undefined ? {} : { signal }
  const names = [plan.wire.netns, ...plan.hosts.map((h) => h.netns), ...placesOf(plan).map((place) => place.netns)]
  noteNetnsFolder()
  await runCommand('ip', ['-batch', '-'], { input: names.map((name) => `netns add ${name}\n`).join(''), ...abort })
  const routers = new Set(plan.hosts.map((host) => host.netns))
  await Promise.all(names.map((name) => runInside(name, routers.has(name) ? routerScript : endScript)))
  for (const step of networkSteps(plan)) {
    await runCommand('ip', ['-netns', step.netns, '-batch', '-'], { input: `${step.commands.join('\n')}\n`, ...abort })
  }
}

// /proc/sys/net shows the network namespace of whoever opens it. Before the links are made, since they copy `default`: without
// this, IPv6 is unusable for the first seconds (duplicate address detection).
const endScript = [
  'cd /proc/sys/net',
  'if [ -d ipv6 ]; then',
  'echo 0 > ipv6/conf/default/accept_dad',
  'echo 0 > ipv6/conf/default/accept_ra',
  'echo 0 > ipv6/conf/default/router_solicitations',
  'fi',
].join('\n')
const routerScript = [
  endScript,
  'echo 1 > ipv4/ip_forward',
  'echo 0 > ipv4/conf/all/rp_filter',
  'echo 0 > ipv4/conf/default/rp_filter',
  'if [ -d ipv6 ]; then echo 1 > ipv6/conf/all/forwarding; fi',
].join('\n')

async function runInside(netns: string, script: string): Promise<void> {
  await runCommand('nsenter', [`--net=${netnsPath(netns)}`, 'sh', '-ec', script])
}

/** Removes namespaces; their links and rules go with them. One that is gone already is no error. */
export async function deleteNamespaces(names: readonly string[]): Promise<void> {
  for (const name of names) await tryCommand('ip', ['netns', 'delete', name])
}

/** What a workload needs for name resolution, as files that its mount namespace shows under /etc. */
export async function writeResolver(file: string, namespace: string, nameserver: string): Promise<void> {
  const search = `${namespace}.svc.cluster.local svc.cluster.local cluster.local`
  await writeFile(file, `nameserver ${nameserver}\nsearch ${search}\noptions ndots:5 timeout:2 attempts:2\n`)
}

// A lab's workload must not ask systemd-resolved or nscd of the machine, so only files and DNS are left.
const mountScript = [
  'set -e',
  'mount --bind "$1" "$(readlink -f /etc/resolv.conf)"',
  'shift',
  'if [ -d /run/nscd ]; then mount -t tmpfs none /run/nscd; fi',
  'exec "$@"',
].join('\n')

/** The command line that runs `command` inside a workload: its network, and its resolver in a mount namespace of its own. */
export function insideWorkload(netns: string, resolver: string, command: readonly string[]): readonly string[] {
  return [
    'nsenter',
    `--net=${netnsPath(netns)}`,
    'unshare',
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    mountScript,
    'culvert lab exec',
    resolver,
    ...command,
  ]
}

/** The command line that runs `command` in a host's or the wire's network namespace. */
export function insideNamespace(netns: string, command: readonly string[]): readonly string[] {
  return ['nsenter', `--net=${netnsPath(netns)}`, ...command]
}
