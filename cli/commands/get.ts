// `culvert get`: lists objects as a table, as JSON or as YAML, and keeps printing changes with --watch.

import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import type { Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { objectName } from '../apply.ts'
import { type ApiClient, ApiError } from '../client.ts'
import { objectTable, table } from '../render.ts'
import {
  type ApiArguments,
  apiOptions,
  complain,
  Failed,
  type NamespaceArguments,
  namespaceOption,
  parseTargets,
  print,
  type Target,
  UsageError,
  withClient,
} from '../session.ts'
import { sortedBy } from '../sort.ts'

type Output = 'json' | 'yaml' | 'wide' | 'name'

interface Arguments extends ApiArguments, NamespaceArguments {
  readonly target: readonly string[]
  readonly allNamespaces: boolean
  readonly selector?: string | undefined
  readonly fieldSelector?: string | undefined
  readonly sortBy?: string | undefined
  readonly headers: boolean
  readonly output?: Output | undefined
  readonly watch: boolean
  readonly showLabels: boolean
}

export const getCommand: CommandModule<object, Arguments> = {
  command: 'get <target..>',
  describe: 'List resources',
  builder: (yargs) =>
    namespaceOption(apiOptions(yargs))
      .positional('target', { type: 'string', array: true, demandOption: true, describe: 'KIND [NAME…] or KIND/NAME…' })
      .option('all-namespaces', { alias: 'A', type: 'boolean', default: false, describe: 'of every namespace' })
      .option('selector', {
        alias: 'l',
        type: 'string',
        requiresArg: true,
        describe: 'only with these labels: app=orders,version!=v1',
      })
      .option('field-selector', {
        type: 'string',
        requiresArg: true,
        describe: 'only with these fields: metadata.name=orders',
      })
      .option('sort-by', {
        type: 'string',
        requiresArg: true,
        describe: 'order by a field: metadata.creationTimestamp',
      })
      .option('headers', { type: 'boolean', default: true, describe: 'a line with the names of the columns' })
      .option('output', {
        alias: 'o',
        choices: ['json', 'yaml', 'wide', 'name'] as const,
        describe: 'form of the output',
      })
      .option('watch', { alias: 'w', type: 'boolean', default: false, describe: 'go on with changes' })
      .option('show-labels', { type: 'boolean', default: false, describe: 'a column with all labels' })
      .example('$0 get services -n shop', 'the services of a namespace')
      .example('$0 get svc,ap -n shop', 'several kinds')
      .example('$0 get ap -A -o yaml', 'every AuthorizationPolicy, as YAML')
      .example(
        '$0 get workloadentries -l app=orders --watch',
        'the workloads with a label, and their changes',
      ) as never,
  handler: (argv) => withClient(argv, (client) => get(client, argv)),
}

async function get(client: ApiClient, argv: Arguments): Promise<void> {
  const targets = parseTargets(argv.target)
  if (argv.allNamespaces && targets.some((target) => target.names.length > 0)) {
    throw new UsageError('a name and --all-namespaces exclude each other')
  }
  if (argv.watch && (targets.length !== 1 || targets[0]!.names.length > 1))
    throw new UsageError('--watch needs one kind, and at most one name')
  const selects = argv.selector !== undefined || argv.fieldSelector !== undefined
  if (selects && targets.some((target) => target.names.length > 0)) {
    throw new UsageError('a name and a selector exclude each other')
  }
  const namespace = argv.allNamespaces ? undefined : (argv.namespace ?? client.namespace)
  const found: { target: Target; objects: readonly MeshObject[] }[] = []
  let missing = 0
  let version = ''
  for (const target of targets) {
    if (target.names.length === 0) {
      const list = await client.list(target.kind, { namespace, ...selectorsOf(argv) })
      found.push({ target, objects: ordered(list.items, argv) })
      version = list.resourceVersion
      continue
    }
    const objects: MeshObject[] = []
    for (const name of target.names) {
      const object = await client.get(target.kind, namespace ?? '', name)
      if (object !== undefined) objects.push(object)
      else missing += notFound(target.kind, name)
    }
    found.push({ target, objects: ordered(objects, argv) })
    version = objects[0]?.metadata.resourceVersion ?? ''
  }
  printFound(found, argv, namespace)
  if (missing > 0) throw new Failed('')
  const [only] = found
  if (argv.watch && only !== undefined) await follow(client, only.target, argv, namespace, version)
}

function ordered(objects: readonly MeshObject[], { sortBy }: Arguments): readonly MeshObject[] {
  return sortBy === undefined ? objects : sortedBy(objects, sortBy)
}

function selectorsOf({ selector, fieldSelector }: Arguments) {
  return { labelSelector: selector, fieldSelector }
}

function notFound(kind: Kind, name: string): number {
  complain(`culvert: ${kind.plural} "${name}" not found`)
  return 1
}

function printFound(
  found: readonly { readonly target: Target; readonly objects: readonly MeshObject[] }[],
  argv: Arguments,
  namespace: string | undefined,
): void {
  const objects = found.flatMap((entry) => entry.objects)
  const single = found.length === 1 && found[0]!.target.names.length === 1 && objects.length === 1
  const value = single ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects }
  if (argv.output === 'json' || argv.output === 'yaml') {
    print(argv.output === 'json' ? JSON.stringify(value, null, 2) : stringify(value))
    return
  }
  const several = found.filter((entry) => entry.objects.length > 0).length > 1
  const texts = found.flatMap(({ target: { kind }, objects: some }) => {
    if (argv.output === 'name') return some.map((object) => `${objectName(kind, object.metadata.name)}\n`)
    return some.length === 0 ? [] : [rendered(kind, some, argv, argv.headers, several ? objectName(kind, '') : '')]
  })
  if (texts.length > 0) print(texts.join(argv.output === 'name' ? '' : '\n'))
  if (objects.length === 0 && argv.output !== 'name') complain(nothing(found, namespace))
}

function nothing(found: readonly { readonly target: Target }[], namespace: string | undefined): string {
  const namespaced = found.some((entry) => entry.target.kind.namespaced)
  return namespaced && namespace !== undefined ? `No resources found in namespace ${namespace}.` : 'No resources found.'
}

function rendered(kind: Kind, objects: readonly MeshObject[], argv: Arguments, headers: boolean, prefix = ''): string {
  const options = {
    namespaces: argv.allNamespaces && kind.namespaced,
    wide: argv.output === 'wide',
    labels: argv.showLabels,
    now: Date.now(),
    prefix,
    nameIsWide: kind.nameIsWide === true,
  }
  const made = objectTable(objects, kind.columns, options)
  const text = table(made.headers, made.rows)
  return headers ? text : text.slice(text.indexOf('\n') + 1)
}

/** Prints changes until the command is interrupted. A watch that the server ends is taken up again. */
async function follow(
  client: ApiClient,
  target: Target,
  argv: Arguments,
  namespace: string | undefined,
  from: string,
): Promise<void> {
  const abort = new AbortController()
  process.once('SIGINT', () => abort.abort())
  const [name] = target.names
  let resourceVersion = from
  while (!abort.signal.aborted) {
    const options = { namespace, ...selectorsOf(argv), resourceVersion }
    try {
      for await (const event of client.watch(target.kind, options, abort.signal)) {
        resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion
        if (name !== undefined && event.object.metadata.name !== name) continue
        printEvent(target.kind, event.object, argv)
      }
    } catch (error: unknown) {
      if (abort.signal.aborted) return
      if (!(error instanceof ApiError && error.status === 410)) throw error
      resourceVersion = (await client.list(target.kind, { namespace, ...selectorsOf(argv) })).resourceVersion
    }
  }
}

function printEvent(kind: Kind, object: MeshObject, argv: Arguments): void {
  if (argv.output === 'json') print(JSON.stringify(object, null, 2))
  else if (argv.output === 'yaml') print(`---\n${stringify(object)}`)
  else if (argv.output === 'name') print(objectName(kind, object.metadata.name))
  else print(rendered(kind, [object], argv, false))
}
