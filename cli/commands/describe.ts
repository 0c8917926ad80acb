// `culvert describe`: one object in full, for people, with what the mesh says about it and what happened to it.
import type { CommandModule } from 'yargs'
import { conditionsIn } from '../../control/publish/status-shape.ts'
import { kindOf } from '../../core/model/kinds.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { type ApiClient, ApiError } from '../client.ts'
import { describeObject, type EventView } from '../describe.ts'
import {
  type ApiArguments,
  apiOptions,
  Failed,
  type NamespaceArguments,
  namespaceOption,
  paint,
  parseTargets,
  print,
  UsageError,
  withClient,
} from '../session.ts'

interface Arguments extends ApiArguments, NamespaceArguments {
  readonly target: readonly string[]
  readonly selector?: string | undefined
  readonly allNamespaces: boolean
}

export const describeCommand: CommandModule<object, Arguments> = {
  command: 'describe <target..>',
  describe: 'Show resources in full, with what the mesh says about them',
  builder: (yargs) =>
    namespaceOption(apiOptions(yargs))
      .positional('target', { type: 'string', array: true, demandOption: true, describe: 'KIND [NAME…] or KIND/NAME…' })
      .option('all-namespaces', { alias: 'A', type: 'boolean', default: false, describe: 'of every namespace' })
      .option('selector', { alias: 'l', type: 'string', requiresArg: true, describe: 'only with these labels' })
      .example('$0 describe ap allow-frontend -n shop', 'a policy, whether it is enforced, and what happened to it')
      .example('$0 describe svc -n shop -l app=orders', 'services with a label') as never,
  handler: (argv) => withClient(argv, (client) => describe(client, argv)),
}

async function describe(client: ApiClient, argv: Arguments): Promise<void> {
  const targets = parseTargets(argv.target)
  const named = targets.some(({ names }) => names.length > 0)
  if (named && (argv.allNamespaces || argv.selector !== undefined)) {
    throw new UsageError('names exclude --selector and --all-namespaces')
  }
  const namespace = argv.allNamespaces ? undefined : (argv.namespace ?? client.namespace)
  const texts: string[] = []
  for (const { kind, names } of targets) {
    const objects: MeshObject[] = []
    if (names.length === 0) {
      objects.push(...(await client.list(kind, { namespace, labelSelector: argv.selector })).items)
    }
    for (const name of names) {
      const object = await client.get(kind, namespace ?? '', name)
      if (object === undefined) throw new Failed(`${kind.plural} "${name}" not found`)
      objects.push(object)
    }
    for (const object of objects) {
      const told = { conditions: conditionsIn(object), events: await eventsOf(client, object) }
      texts.push(describeObject(object, told, Date.now(), paint()))
    }
  }
  if (texts.length === 0) throw new Failed('no resources found')
  print(texts.join('\n\n'))
}

/** What happened to an object; nothing where the API has no events. */
async function eventsOf(client: ApiClient, { kind, metadata }: MeshObject): Promise<readonly EventView[]> {
  const events = kindOf('v1', 'Event')
  if (events === undefined) return []
  const { name, namespace = '', uid } = metadata
  const terms = [
    `involvedObject.kind=${kind}`,
    `involvedObject.name=${name}`,
    ...(namespace === '' ? [] : [`involvedObject.namespace=${namespace}`]),
    ...(uid === undefined || namespace === '' ? [] : [`involvedObject.uid=${uid}`]),
  ]
  const scope = namespace === '' ? 'default' : namespace
  try {
    return (await client.list(events, { namespace: scope, fieldSelector: terms.join(',') }))
      .items as readonly EventView[]
  } catch (error: unknown) {
    if (error instanceof ApiError && [400, 403, 404].includes(error.status)) return []
    throw error
  }
}
