// The lab's address plan: pure functions from a topology to names, addresses and links. Every lab uses the same addresses,
// since all of it lives inside network namespaces of its own.
import type { Topology, TopologyWorkload } from './topology.ts'
import { instanceNames, type TopologyWaypoint } from './topology-waypoints.ts'

export interface HostPlan {
  readonly name: string
  /** Name of the network namespace. */
  readonly netns: string
  /** The host's own addresses on the wire, IPv4 first. */
  readonly addresses: readonly [string, string]
  /** Ranges of the workloads behind this host, which other hosts route to it. */
  readonly ranges: readonly [string, string]
  /** The host's port on the bridge, in the wire namespace. */
  readonly wirePort: string
}

/** What has a network namespace and an address of its own behind a host. */
export interface PlacePlan {
  readonly name: string
  readonly namespace: string
  readonly host: string
  readonly netns: string
  readonly addresses: readonly [string, string]
  /** Its link's end in the host's namespace; the other end is `eth0` in its own. */
  readonly hostLink: string
}

export interface WorkloadPlan extends PlacePlan {
  readonly spec: TopologyWorkload
}

/** One replica of a waypoint; `name` is that of the replica. */
export interface WaypointPlan extends PlacePlan {
  /** Name of the Gateway. */
  readonly gateway: string
}

export interface LabPlan {
  readonly name: string
  readonly wire: { readonly netns: string; readonly bridge: string; readonly addresses: readonly [string, string] }
  readonly hosts: readonly HostPlan[]
  readonly workloads: readonly WorkloadPlan[]
  readonly waypoints: readonly WaypointPlan[]
}

/** Lab names are one word, so that no lab's prefix is the beginning of another's. */
export const labNamePattern = /^[a-z0-9]{1,24}$/

/** Every network namespace of a lab starts with this. */
export function netnsPrefix(lab: string): string {
  return `cv-${lab}-`
}

/** Lays a topology out on 10.88.0.0/16 and fd88::/32: `.0.x` is the wire, `.<host>.x` the workloads of a host. */
export function planLab(name: string, topology: Topology): LabPlan {
  const prefix = netnsPrefix(name)
  const hosts = topology.hosts.map((host, index) => planHost(prefix, host, index + 1))
  const counts = new Map<string, number>()
  const place = (named: { readonly name: string; readonly namespace: string; readonly host: string }): PlacePlan => {
    const position = (counts.get(named.host) ?? 0) + 1
    counts.set(named.host, position)
    return planPlace(prefix, named, topology.hosts.indexOf(named.host) + 1, position)
  }
  const workloads = topology.workloads.map((spec) => ({ ...place(spec), spec }))
  const instances = (waypoint: TopologyWaypoint): WaypointPlan[] =>
    instanceNames(waypoint).map((name) => ({ ...place({ ...waypoint, name }), gateway: waypoint.name }))
  const waypoints = (topology.waypoints ?? []).flatMap(instances)
  return {
    name,
    wire: { netns: `${prefix}wire`, bridge: 'br0', addresses: ['10.88.0.254', 'fd88::fe'] },
    hosts,
    workloads,
    waypoints,
  }
}

/** Everything that stands behind a host. */
export function placesOf(plan: LabPlan): readonly PlacePlan[] {
  return [...plan.workloads, ...plan.waypoints]
}

function planHost(prefix: string, name: string, number: number): HostPlan {
  const hex = number.toString(16)
  return {
    name,
    netns: `${prefix}${name}`,
    addresses: [`10.88.0.${number}`, `fd88::${hex}`],
    ranges: [`10.88.${number}.0/24`, `fd88:0:0:${hex}::/64`],
    wirePort: `h${number}`,
  }
}

function planPlace(
  prefix: string,
  { name, namespace, host: hostName }: { readonly name: string; readonly namespace: string; readonly host: string },
  host: number,
  position: number,
): PlacePlan {
  return {
    name,
    namespace,
    host: hostName,
    // A dot cannot be in a host's name: no host and workload can share a namespace name.
    netns: `${prefix}${name}.${namespace}`,
    addresses: [`10.88.${host}.${position}`, `fd88:0:0:${host.toString(16)}::${position.toString(16)}`],
    hostLink: `w${position}`,
  }
}

/** One `ip -batch` script per namespace, to be run in this order. */
export interface NetworkStep {
  readonly netns: string
  readonly commands: readonly string[]
}

/** The links, addresses and routes of a lab. Links are made inside the lab's namespaces, never in the machine's own. */
export function networkSteps(plan: LabPlan): readonly NetworkStep[] {
  return [wireStep(plan), ...plan.hosts.map((host) => hostStep(plan, host)), ...placesOf(plan).map(placeStep)]
}

function wireStep(plan: LabPlan): NetworkStep {
  const { bridge, addresses } = plan.wire
  return {
    netns: plan.wire.netns,
    commands: [
      'link set lo up',
      // Without snooping the bridge floods neighbour discovery, whatever the timing of the ports.
      `link add ${bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `addr add ${addresses[0]}/24 dev ${bridge}`,
      `addr add ${addresses[1]}/64 dev ${bridge} nodad`,
      ...plan.hosts.flatMap((host) => [
        `link add ${host.wirePort} type veth peer name eth0 netns ${host.netns}`,
        `link set ${host.wirePort} master ${bridge} up`,
      ]),
      `link set ${bridge} up`,
      ...plan.hosts.flatMap((host) => [
        `route add ${host.ranges[0]} via ${host.addresses[0]}`,
        `route add ${host.ranges[1]} via ${host.addresses[1]}`,
      ]),
    ],
  }
}

function hostStep(plan: LabPlan, host: HostPlan): NetworkStep {
  const others = plan.hosts.filter((other) => other !== host)
  return {
    netns: host.netns,
    commands: [
      'link set lo up',
      'link set eth0 up',
      `addr add ${host.addresses[0]}/24 dev eth0`,
      `addr add ${host.addresses[1]}/64 dev eth0 nodad`,
      ...others.flatMap((other) => [
        `route add ${other.ranges[0]} via ${other.addresses[0]}`,
        `route add ${other.ranges[1]} via ${other.addresses[1]}`,
      ]),
      ...placesOf(plan)
        .filter((place) => place.host === host.name)
        .flatMap(hostLinkCommands),
    ],
  }
}

function hostLinkCommands(place: PlacePlan): string[] {
  const [ipv4, ipv6] = place.addresses
  return [
    `link add ${place.hostLink} type veth peer name eth0 netns ${place.netns}`,
    `link set ${place.hostLink} up`,
    // IPv6 answers neighbour discovery only for addresses of the link itself; IPv4 answers for any address of the host.
    `addr add fe80::1/64 dev ${place.hostLink} nodad`,
    `addr add 169.254.88.1/32 dev ${place.hostLink} scope link`,
    `route add ${ipv4}/32 dev ${place.hostLink}`,
    `route add ${ipv6}/128 dev ${place.hostLink}`,
  ]
}

function placeStep(place: PlacePlan): NetworkStep {
  const [ipv4, ipv6] = place.addresses
  return {
    netns: place.netns,
    commands: [
      'link set lo up',
      'link set eth0 up',
      `addr add ${ipv4}/32 dev eth0`,
      `addr add ${ipv6}/128 dev eth0 nodad`,
      'route add 169.254.88.1 dev eth0 scope link',
      'route add default via 169.254.88.1',
      'route add default via fe80::1 dev eth0',
    ],
  }
}
