// The lab's topology file: which hosts and workloads to build. Parsed once at the edge by lab.ts and the CLI; every problem
// names file, line and column, and all of them are reported together.
import { isScalar, parseDocument, type YAMLMap } from 'yaml'
import { MeshError } from '../core/base/errors.ts'
import { fieldOf, Reader, type TopologyProblem } from './topology-reader.ts'
import { readWaypoints, type TopologyWaypoint } from './topology-waypoints.ts'

/** What runs inside a workload: the built-in echo server, a shell command, or nothing (a place to `lab exec` into). */
export type WorkloadProcess =
  | { readonly kind: 'echo' }
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'idle' }

export interface TopologyWorkload {
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly host: string
  readonly labels: Readonly<Record<string, string>>
  /** Named ports, for Services with a named targetPort. */
  readonly ports: Readonly<Record<string, number>>
  readonly locality?: string
  readonly weight?: number
  readonly process: WorkloadProcess
}

export interface Topology {
  readonly hosts: readonly string[]
  readonly workloads: readonly TopologyWorkload[]
  readonly waypoints?: readonly TopologyWaypoint[]
}

const namePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
/** Host names become part of namespace names: short, and `wire` is taken. */
const hostPattern = /^[a-z][a-z0-9-]{0,30}$/
const labelValuePattern = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/
/** Parses a topology. Throws CONFIG_INVALID with one line per problem. */
export function parseTopology(text: string, file: string): Topology {
  const { topology, problems } = readTopology(text)
  if (problems.length > 0) {
    const lines = problems.map(
      (p) => `${file}:${p.line}:${p.column}: ${p.path === '' ? '' : `${p.path}: `}${p.message}`,
    )
    throw new MeshError('CONFIG_INVALID', lines.join('\n'))
  }
  return topology
}

/** Parses a topology and collects every problem. The topology is meaningful only without problems. */
export function readTopology(text: string): { topology: Topology; problems: readonly TopologyProblem[] } {
  const reader = new Reader()
  const document = parseDocument(text, { lineCounter: reader.lines, uniqueKeys: true })
  for (const error of document.errors) {
    if (error.code === 'MULTIPLE_DOCS') {
      const message =
        'a topology is one document with `hosts` and `workloads`: the first -f is the topology, resources follow'
      reader.problemAt(error.pos[0], '', message)
    } else reader.problemAt(error.pos[0], '', (error.message.split('\n')[0] ?? '').trim())
  }
  if (reader.problems.length > 0) return { topology: { hosts: [], workloads: [] }, problems: reader.problems }
  const root = reader.map(
    document.contents,
    '',
    ['hosts', 'workloads', 'waypoints'],
    'a topology is a map with `hosts`, `workloads` and `waypoints`',
  )
  if (root === undefined) return { topology: { hosts: [], workloads: [] }, problems: reader.problems }
  const hosts = readHosts(reader, root)
  const workloads = readWorkloads(reader, root, hosts)
  const taken = new Set(workloads.map(({ name, namespace }) => `${name}.${namespace}`))
  const waypoints = readWaypoints(reader, root, hosts, taken)
  return { topology: { hosts, workloads, ...(waypoints.length === 0 ? {} : { waypoints }) }, problems: reader.problems }
}

function readHosts(reader: Reader, root: YAMLMap): readonly string[] {
  const hosts: string[] = []
  for (const [index, item] of reader.list(root, 'hosts', '', true).entries()) {
    const path = `hosts[${index}]`
    const name = reader.text(item, path, hostPattern, 'a host name: a letter, then up to 30 of a-z, 0-9 and -')
    if (name === undefined) continue
    if (name === 'wire') reader.problem(item, path, '"wire" names the network between the hosts; choose another name')
    else if (hosts.includes(name)) reader.problem(item, path, `host "${name}" is listed twice`)
    else hosts.push(name)
  }
  if (hosts.length > 200) reader.problem(root, 'hosts', 'a lab has at most 200 hosts')
  return hosts
}

const workloadFields = [
  'name',
  'namespace',
  'serviceAccount',
  'host',
  'labels',
  'ports',
  'locality',
  'weight',
  'echo',
  'run',
]

function readWorkloads(reader: Reader, root: YAMLMap, hosts: readonly string[]): readonly TopologyWorkload[] {
  const workloads: TopologyWorkload[] = []
  const seen = new Set<string>()
  for (const [index, item] of reader.list(root, 'workloads', '', false).entries()) {
    const path = `workloads[${index}]`
    const map = reader.map(item, path, workloadFields, 'a workload is a map')
    if (map === undefined) continue
    const workload = readWorkload(reader, map, path, hosts)
    if (workload === undefined) continue
    const key = `${workload.name}.${workload.namespace}`
    if (seen.has(key)) reader.problem(map, path, `workload "${key}" is listed twice`)
    seen.add(key)
    workloads.push(workload)
  }
  return workloads
}

function readWorkload(
  reader: Reader,
  map: YAMLMap,
  path: string,
  hosts: readonly string[],
): TopologyWorkload | undefined {
  const word = 'lower-case letters, digits and -'
  const name = reader.field(map, path, 'name', namePattern, word)
  const namespace = reader.field(map, path, 'namespace', namePattern, word, 'default')
  const serviceAccount = reader.field(map, path, 'serviceAccount', namePattern, word, 'default')
  const host = reader.field(map, path, 'host', /./, 'a host')
  const locality = reader.field(map, path, 'locality', /^[^/]+(\/[^/]+){0,2}$/, 'region/zone/subzone', '')
  const hostNode = fieldOf(map, 'host')
  if (host !== undefined && !hosts.includes(host)) {
    reader.problem(hostNode ?? map, `${path}.host`, `no such host "${host}"; hosts are ${hosts.join(', ') || 'none'}`)
  }
  const labels = readLabels(reader, map, path)
  const ports = readPorts(reader, map, path)
  const weight = readWeight(reader, map, path)
  const process = readProcess(reader, map, path)
  if (name === undefined || namespace === undefined || serviceAccount === undefined || host === undefined)
    return undefined
  return {
    name,
    namespace,
    serviceAccount,
    host,
    labels,
    ports,
    ...(locality === undefined || locality === '' ? {} : { locality }),
    ...(weight === undefined ? {} : { weight }),
    process,
  }
}

function readLabels(reader: Reader, map: YAMLMap, path: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {}
  for (const [key, node] of reader.entries(map, 'labels', path)) {
    const at = `${path}.labels.${key}`
    const value = reader.text(node, at, labelValuePattern, 'a label value (at most 63 letters, digits, -, _ and .)')
    if (value !== undefined) labels[key] = value
  }
  return labels
}

function readPorts(reader: Reader, map: YAMLMap, path: string): Readonly<Record<string, number>> {
  const ports: Record<string, number> = {}
  for (const [key, node] of reader.entries(map, 'ports', path)) {
    const value = isScalar(node) ? node.value : undefined
    if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65536) ports[key] = value
    else reader.problem(node, `${path}.ports.${key}`, 'expected a port, 1 to 65535')
  }
  return ports
}

function readWeight(reader: Reader, map: YAMLMap, path: string): number | undefined {
  const node = fieldOf(map, 'weight')
  if (node === undefined) return undefined
  const value = isScalar(node) ? node.value : undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  reader.problem(node, `${path}.weight`, 'expected a whole number, 0 or more')
  return undefined
}

function readProcess(reader: Reader, map: YAMLMap, path: string): WorkloadProcess {
  const echo = fieldOf(map, 'echo')
  const run = fieldOf(map, 'run')
  if (echo !== undefined && run !== undefined) {
    reader.problem(run, `${path}.run`, 'give either `echo` or `run`, not both')
  }
  if (echo !== undefined) {
    reader.map(echo, `${path}.echo`, [], 'write `echo: {}`')
    return { kind: 'echo' }
  }
  if (run === undefined) return { kind: 'idle' }
  const command = reader.text(run, `${path}.run`, /\S/, 'a command for /bin/sh')
  return command === undefined ? { kind: 'idle' } : { kind: 'command', command }
}
