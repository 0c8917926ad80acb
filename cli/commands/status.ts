// `culvert status`: is the mesh well? Control plane, hosts, workloads, and what is accepted but not enforced.
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import { kinds } from '../../core/model/kinds.ts'
import type { ReplicaStatus } from '../../core/model/mesh-status.ts'
import type { Condition } from '../../core/model/resource.ts'
import { objectName } from '../apply.ts'
import type { ApiClient } from '../client.ts'
import { type HostStatus, type MeshStatus, meshStatus } from '../mesh-status.ts'
import { table } from '../render.ts'
import { type ApiArguments, apiOptions, paint, print, withClient } from '../session.ts'
import { captureState, type WorkloadView } from '../workload-view.ts'
import { bypass, workloadViews } from './workloads.ts'

interface Arguments extends ApiArguments {
  readonly output?: 'json' | 'yaml' | undefined
}

interface Finding {
  readonly object: string
  readonly namespace: string
  readonly condition: Condition
}

export const statusCommand: CommandModule<object, Arguments> = {
  command: 'status',
  describe: 'Show the state of the mesh: control plane, hosts, workloads, unenforced rules',
  builder: (yargs) =>
    apiOptions(yargs).option('output', {
      alias: 'o',
      choices: ['json', 'yaml'] as const,
      describe: 'form of the output',
    }) as never,
  handler: (argv) =>
    withClient(argv, async (client) => {
      const [workloads, mesh, findings] = await Promise.all([
        workloadViews(client, {}),
        meshStatus(client),
        conditionFindings(client),
      ])
      const all = { api: client.server, mesh, workloads, findings }
      if (argv.output === 'json') print(JSON.stringify(all, null, 2))
      else if (argv.output === 'yaml') print(stringify(all))
      else print(statusText(client.server, mesh, workloads, findings))
    }),
}

/** Conditions that say that something is not as its author meant it. */
async function conditionFindings(client: ApiClient): Promise<readonly Finding[]> {
  const lists = await Promise.all(kinds.map(async (kind) => ({ kind, list: await client.list(kind) })))
  return lists.flatMap(({ kind, list }) =>
    list.items.flatMap((object) =>
      (object.status?.conditions ?? [])
        .filter((condition) => condition.status === 'False')
        .map((condition) => ({
          object: objectName(kind, object.metadata.name),
          namespace: object.metadata.namespace ?? '',
          condition,
        })),
    ),
  )
}

function statusText(
  server: string,
  mesh: MeshStatus | undefined,
  workloads: readonly WorkloadView[],
  findings: readonly Finding[],
): string {
  const colour = paint()
  const about = mesh === undefined ? '' : `, trust domain ${mesh.trustDomain}, model version ${mesh.version}`
  const hosts = mesh?.hosts ?? []
  const waiting = workloads.filter(
    (workload) => ['pending', 'leaving'].includes(captureState(workload)) || workload.uncapturedConnections > 0,
  )
  return [
    `control plane ${server} ${colour('green', 'answers')}${about}`,
    ...(mesh === undefined || mesh.replicas.length < 2
      ? []
      : ['', table(replicaHeaders, mesh.replicas.map(replicaRow))]),
    '',
    hosts.length === 0 ? 'no host has joined yet' : table(hostHeaders, hosts.map(hostRow)),
    ...hosts.flatMap(hostProblems),
    ...waiting.map(
      (workload) => `${workload.name}.${workload.namespace}: ${captureState(workload)}${bypass(workload)}`,
    ),
    ...findings.map(findingLine),
  ].join('\n')
}

const replicaHeaders = ['REPLICA', 'API', 'FEED', 'ROLE', 'BUILD']

function replicaRow({ id, api, feed, leads, build }: ReplicaStatus): readonly string[] {
  const places = feed.map(({ host, port }) => `${host}:${port}`).join(',')
  return [id.slice(0, 8), api, places, leads ? paint()('green', 'leads') : 'follows', build]
}

const hostHeaders = ['HOST', 'WORKLOADS', 'CAPTURED', 'VERSION', 'AGENT']

function hostRow(host: HostStatus): readonly string[] {
  const captured = host.workloads.filter((workload) => workload.captured).length
  const state = host.connected ? (host.lag > 0 ? `${host.lag} versions behind` : 'connected') : 'away'
  const tint = host.connected && host.lag === 0 ? 'green' : 'yellow'
  return [host.host, String(host.workloads.length), String(captured), String(host.version), paint()(tint, state)]
}

function hostProblems(host: HostStatus): readonly string[] {
  return [
    ...host.refusedWorkloads.map(({ uid, reason }) => `${host.host}: workload ${uid} is refused: ${reason}`),
    ...host.refused.map(({ kind, key, reason }) => `${host.host}: could not take ${kind} ${key}: ${reason}`),
  ]
}

function findingLine({ object, namespace, condition }: Finding): string {
  const where = namespace === '' ? object : `${object} in ${namespace}`
  return `${where}: ${condition.type} is False: ${condition.message}`
}
