// `culvert workloads`: every workload of the mesh, where it is and whether it is captured.
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import { parseLabelSelector } from '../../control/api/selectors.ts'
import { effectiveLabels } from '../../control/compile/workload-entry.ts'
import { namespaceKind } from '../../core/model/kinds/core.ts'
import { workloadEntryKind } from '../../core/model/kinds/istio.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { objectName } from '../apply.ts'
import type { ApiClient } from '../client.ts'
import { table } from '../render.ts'
import { type ApiArguments, apiOptions, complain, paint, print, UsageError, withClient } from '../session.ts'
import { captureState, viewWorkload, type WorkloadView } from '../workload-view.ts'

interface Arguments extends ApiArguments {
  readonly namespace?: string | undefined
  readonly allNamespaces: boolean
  readonly selector?: string | undefined
  readonly output?: 'json' | 'yaml' | 'wide' | 'name' | undefined
}

export const workloadsCommand: CommandModule<object, Arguments> = {
  command: 'workloads',
  describe: 'List the workloads of the mesh, their identities and whether they are captured',
  builder: (yargs) =>
    apiOptions(yargs)
      .option('namespace', { alias: 'n', type: 'string', requiresArg: true, describe: 'only of this namespace' })
      .option('all-namespaces', {
        alias: 'A',
        type: 'boolean',
        default: false,
        describe: 'of all namespaces (the default)',
      })
      .option('selector', { alias: 'l', type: 'string', requiresArg: true, describe: 'only with these labels' })
      .option('output', {
        alias: 'o',
        choices: ['json', 'yaml', 'wide', 'name'] as const,
        describe: 'form of the output',
      })
      .example('$0 workloads -n shop', 'those of a namespace')
      .example('$0 workloads -l app=orders -o wide', 'with their labels and health') as never,
  handler: (argv) =>
    withClient(argv, async (client) => {
      const { namespace, selector, allNamespaces } = argv
      const views = await workloadViews(client, { namespace: allNamespaces ? undefined : namespace, selector })
      const { output } = argv
      if (output === 'json' || output === 'yaml')
        print(output === 'json' ? JSON.stringify(views, null, 2) : stringify(views))
      else if (output === 'name') for (const view of views) print(objectName(workloadEntryKind, view.name))
      else if (views.length === 0) complain('No workloads found.')
      else print(workloadTable(views, output === 'wide'))
    }),
}

/** `selector`: over the labels that the mesh goes by, those that the host reported included. Throws UsageError. */
export async function workloadViews(
  client: ApiClient,
  filter: { readonly namespace?: string | undefined; readonly selector?: string | undefined },
): Promise<readonly WorkloadView[]> {
  const fits = selectorOf(filter.selector ?? '')
  const [entries, namespaces] = await Promise.all([
    client.list(workloadEntryKind, { namespace: filter.namespace }),
    client.list(namespaceKind),
  ])
  const byName = new Map(namespaces.items.map((object) => [object.metadata.name, object]))
  return entries.items.filter(fits).map((entry) => viewWorkload(entry, byName))
}

function selectorOf(text: string): (entry: MeshObject) => boolean {
  try {
    const fits = parseLabelSelector(text)
    return (entry) => fits({ ...entry, metadata: { ...entry.metadata, labels: effectiveLabels(entry) } })
  } catch (error: unknown) {
    throw new UsageError((error as Error).message)
  }
}

export function workloadTable(views: readonly WorkloadView[], wide = false): string {
  const colour = paint()
  // The coloured column is the last one: escape codes would count as width.
  const tint = { captured: 'green', pending: 'yellow', leaving: 'yellow', outside: 'dim', waypoint: 'green' } as const
  const rows = views.map((view) => [
    view.namespace,
    view.name,
    view.host,
    view.serviceAccount,
    view.addresses.join(','),
    ...(wide ? [view.health, labelText(view.labels)] : []),
    colour(tint[captureState(view)], captureState(view) + bypass(view)),
  ])
  const more = wide ? ['HEALTH', 'LABELS'] : []
  return table(['NAMESPACE', 'NAME', 'HOST', 'SERVICE-ACCOUNT', 'ADDRESSES', ...more, 'MESH'], rows)
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

/** What of a captured workload still goes around the mesh, in words; empty where nothing does. */
export function bypass(view: WorkloadView): string {
  return view.uncapturedConnections === 0 ? '' : ` (${view.uncapturedConnections} connections from before bypass it)`
}
