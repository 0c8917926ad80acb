// `culvert delete`: removes objects by name, by label or by the files that they came from.
import { readFileSync } from 'node:fs'
import type { CommandModule } from 'yargs'
import type { Kind } from '../../core/model/kinds/kind.ts'
import { objectName, servedKind } from '../apply.ts'
import { type ApiClient, ApiError } from '../client.ts'
import { requireManifests } from '../manifests.ts'
import { Progress } from '../progress.ts'
import {
  type ApiArguments,
  apiOptions,
  complain,
  Failed,
  type NamespaceArguments,
  namespaceOption,
  parseTargets,
  print,
  UsageError,
  withClient,
} from '../session.ts'

interface Arguments extends ApiArguments, NamespaceArguments {
  readonly target?: readonly string[] | undefined
  readonly filename?: readonly string[] | undefined
  readonly selector?: string | undefined
  readonly fieldSelector?: string | undefined
  readonly recursive: boolean
  readonly dryRun: boolean
  readonly output?: 'name' | undefined
  readonly all: boolean
  readonly ignoreNotFound: boolean
}

interface Doomed {
  readonly kind: Kind
  readonly namespace: string
  readonly name: string
}

export const deleteCommand: CommandModule<object, Arguments> = {
  command: 'delete [target..]',
  describe: 'Remove resources',
  builder: (yargs) =>
    namespaceOption(apiOptions(yargs))
      .positional('target', { type: 'string', array: true, describe: 'KIND NAME… or KIND/NAME…' })
      .option('filename', { alias: 'f', type: 'string', array: true, nargs: 1, describe: 'what these files define' })
      .option('recursive', { alias: 'R', type: 'boolean', default: false, describe: 'folders with those below them' })
      .option('selector', { alias: 'l', type: 'string', requiresArg: true, describe: 'those with these labels' })
      .option('field-selector', { type: 'string', requiresArg: true, describe: 'those with these fields' })
      .option('all', { type: 'boolean', default: false, describe: 'all of the kind in the namespace' })
      .option('ignore-not-found', { type: 'boolean', default: false, describe: 'what is gone already is no failure' })
      .option('dry-run', { type: 'boolean', default: false, describe: 'let the server check, and delete nothing' })
      .option('output', { alias: 'o', choices: ['name'] as const, describe: 'print only the names' })
      .example('$0 delete ap allow-frontend -n shop', 'remove one policy')
      .example('$0 delete -f policy.yaml', 'remove what a file defines') as never,
  handler: (argv) => withClient(argv, (client) => remove(client, argv)),
}

async function remove(client: ApiClient, argv: Arguments): Promise<void> {
  const doomed = await select(client, argv)
  if (doomed.length === 0) complain('No resources found.')
  let failures = 0
  const progress = new Progress('deleted', doomed.length)
  const suffix = argv.output === 'name' ? '' : argv.dryRun ? ' deleted (server dry run)' : ' deleted'
  for (const { kind, namespace, name } of doomed) {
    try {
      await client.delete(kind, namespace, name, { dryRun: argv.dryRun })
      progress.clear()
      print(`${objectName(kind, name)}${suffix}`)
      progress.step()
    } catch (error: unknown) {
      if (!(error instanceof ApiError)) throw error
      if (error.status === 404 && argv.ignoreNotFound) continue
      progress.clear()
      complain(`culvert: ${objectName(kind, name)}: ${error.message}`)
      failures++
    }
  }
  progress.clear()
  if (failures > 0) throw new Failed('')
}

async function select(client: ApiClient, argv: Arguments): Promise<readonly Doomed[]> {
  const namespace = argv.namespace ?? client.namespace
  const files = argv.filename ?? []
  const words = argv.target ?? []
  if (files.length > 0) {
    if (words.length > 0) throw new UsageError('give either files or names, not both')
    // In the opposite order of apply: what guards goes after what is guarded.
    return requireManifests(files, namespace, () => readFileSync(0, 'utf8'), argv.recursive)
      .toReversed()
      .map(({ object }) => ({
        kind: servedKind(object),
        namespace: object.metadata.namespace ?? '',
        name: object.metadata.name,
      }))
  }
  const doomed: Doomed[] = []
  for (const { kind, names } of parseTargets(words)) {
    const selects = argv.selector !== undefined || argv.fieldSelector !== undefined
    if (names.length === 0 && !selects && !argv.all) {
      throw new UsageError(`name the ${kind.plural} to delete, or give -l, --field-selector or --all`)
    }
    if (names.length > 0 && (selects || argv.all)) throw new UsageError('names and a selector exclude each other')
    const chosen = names.length > 0 ? names : await listed(client, kind, namespace, argv)
    doomed.push(...chosen.map((name) => ({ kind, namespace, name })))
  }
  return doomed
}

async function listed(client: ApiClient, kind: Kind, namespace: string, argv: Arguments) {
  const { selector: labelSelector, fieldSelector } = argv
  const { items } = await client.list(kind, { namespace, labelSelector, fieldSelector })
  return items.map((item) => item.metadata.name)
}
