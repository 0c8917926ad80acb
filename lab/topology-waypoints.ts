// The `waypoints` of a topology: which waypoint runs on which host, in how many replicas. Called by topology.ts.
import { isScalar, type YAMLMap } from 'yaml'
import { fieldOf, type Reader } from './topology-reader.ts'

export interface TopologyWaypoint {
  /** Of the Gateway. */
  readonly name: string
  readonly namespace: string
  readonly host: string
  readonly replicas: number
}

const namePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const mostReplicas = 20

/** `taken`: `name.namespace` of the workloads. */
export function readWaypoints(
  reader: Reader,
  root: YAMLMap,
  hosts: readonly string[],
  taken: ReadonlySet<string>,
): readonly TopologyWaypoint[] {
  const waypoints: TopologyWaypoint[] = []
  const seen = new Set(taken)
  for (const [index, item] of reader.list(root, 'waypoints', '', false).entries()) {
    const path = `waypoints[${index}]`
    const map = reader.map(item, path, ['name', 'namespace', 'host', 'replicas'], 'a waypoint is a map')
    if (map === undefined) continue
    const waypoint = readWaypoint(reader, map, path, hosts)
    if (waypoint === undefined) continue
    for (const name of instanceNames(waypoint)) {
      const key = `${name}.${waypoint.namespace}`
      if (seen.has(key)) reader.problem(map, path, `"${key}" is the name of another waypoint or workload`)
      seen.add(key)
    }
    waypoints.push(waypoint)
  }
  return waypoints
}

/** One alone has the name of its Gateway; several are numbered. */
export function instanceNames({ name, replicas }: TopologyWaypoint): readonly string[] {
  if (replicas === 1) return [name]
  return Array.from({ length: replicas }, (_, index) => `${name}-${index + 1}`)
}

function readWaypoint(
  reader: Reader,
  map: YAMLMap,
  path: string,
  hosts: readonly string[],
): TopologyWaypoint | undefined {
  const word = 'lower-case letters, digits and -'
  const name = reader.field(map, path, 'name', namePattern, word)
  const namespace = reader.field(map, path, 'namespace', namePattern, word, 'default')
  const host = reader.field(map, path, 'host', /./, 'a host')
  if (host !== undefined && !hosts.includes(host)) {
    const message = `no such host "${host}"; hosts are ${hosts.join(', ') || 'none'}`
    reader.problem(fieldOf(map, 'host') ?? map, `${path}.host`, message)
  }
  const replicas = readReplicas(reader, map, path)
  if (name === undefined || namespace === undefined || host === undefined) return undefined
  return { name, namespace, host, replicas }
}

function readReplicas(reader: Reader, map: YAMLMap, path: string): number {
  const node = fieldOf(map, 'replicas')
  if (node === undefined) return 1
  const value = isScalar(node) ? node.value : undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= mostReplicas) return value
  reader.problem(node, `${path}.replicas`, `expected a whole number from 1 to ${mostReplicas}`)
  return 1
}
