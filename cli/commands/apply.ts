// `culvert apply`: checks every file first, then brings the live objects to what the files say.
import { readFileSync } from 'node:fs'
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import { formatProblem } from '../../core/model/problem.ts'
import { type Applied, applyObject, objectName, servedKind } from '../apply.ts'
import type { ApiClient } from '../client.ts'
import { ApiError } from '../client.ts'
import { readConnection } from '../kubeconfig.ts'
import { loadManifests } from '../manifests.ts'
import { Progress } from '../progress.ts'
import {
  type ApiArguments,
  apiOptions,
  complain,
  Failed,
  type NamespaceArguments,
  namespaceOption,
  print,
  UsageError,
  withClient,
} from '../session.ts'

interface Arguments extends ApiArguments, NamespaceArguments {
  readonly filename: readonly string[]
  readonly output?: 'json' | 'yaml' | 'name' | undefined
  readonly recursive: boolean
  readonly dryRun?: string | undefined
}

export const applyCommand: CommandModule<object, Arguments> = {
  command: 'apply',
  describe: 'Create or change resources from files',
  builder: (yargs) =>
    namespaceOption(apiOptions(yargs))
      .option('filename', {
        alias: 'f',
        type: 'string',
        array: true,
        nargs: 1,
        demandOption: 'name a file or folder with -f (- reads standard input)',
        describe: 'file, folder, or - for standard input; may be repeated',
      })
      .option('output', { alias: 'o', choices: ['json', 'yaml', 'name'] as const, describe: 'print the objects' })
      .option('recursive', { alias: 'R', type: 'boolean', default: false, describe: 'folders with those below them' })
      .option('dry-run', {
        type: 'string',
        describe: 'change nothing: client (or no value) checks the files, server asks the API, too',
      })
      .example('$0 apply -f policy.yaml', 'apply one file')
      .example('$0 apply -n shop -f services/ -f policies/', 'apply two folders, namespace shop where none is given')
      .example('$0 apply -R -f mesh/ --dry-run=server', 'what would become of a folder and those below it')
      .example('$0 apply -f - < policy.yaml', 'apply standard input') as never,
  handler: (argv) => {
    const dryRun = dryRunOf(argv.dryRun)
    return dryRun === 'client' ? check(argv) : withClient(argv, (client) => apply(client, argv, dryRun === 'server'))
  },
}

/** As kubectl has it. Throws UsageError. */
function dryRunOf(text: string | undefined): 'none' | 'client' | 'server' {
  if (text === undefined || text === 'none' || text === 'false') return 'none'
  if (text === '' || text === 'true' || text === 'client') return 'client'
  if (text === 'server') return 'server'
  throw new UsageError(`--dry-run: "${text}" is none of client, server and none`)
}

function loadChecked(argv: Arguments, namespace: string) {
  const { manifests, problems } = loadManifests(argv.filename, namespace, () => readFileSync(0, 'utf8'), argv.recursive)
  if (problems.length === 0) return manifests
  for (const problem of problems) complain(formatProblem(problem))
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  throw new Failed(`${count}; nothing was applied`)
}

async function check(argv: Arguments): Promise<void> {
  let namespace = argv.namespace
  if (namespace === undefined) {
    try {
      namespace = readConnection(argv).namespace
    } catch {
      // Checking needs no server.
    }
  }
  for (const { object } of loadChecked(argv, namespace ?? 'default')) {
    print(`${objectName(servedKind(object), object.metadata.name)} checked (dry run)`)
  }
}

async function apply(client: ApiClient, argv: Arguments, dryRun: boolean): Promise<void> {
  const manifests = loadChecked(argv, argv.namespace ?? client.namespace)
  if (manifests.length === 0) throw new Failed('the files contain no objects')
  const applied: Applied[] = []
  let failures = 0
  const progress = new Progress('applied', manifests.length)
  const homes = new Set(manifests.map(({ object }) => (object.kind === 'Namespace' ? object.metadata.name : '')))
  for (const { object, file, line } of manifests) {
    const name = objectName(servedKind(object), object.metadata.name)
    try {
      const result = await applyObject(client, object, { dryRun })
      applied.push(result)
      if (argv.output === undefined || argv.output === 'name') progress.clear()
      if (argv.output === undefined) print(`${name} ${result.outcome}${dryRun ? ' (server dry run)' : ''}`)
      else if (argv.output === 'name') print(name)
      progress.step()
    } catch (error: unknown) {
      // One refused object does not stop the others, as with kubectl; the exit code tells.
      if (!(error instanceof ApiError)) throw error
      if (dryRun && error.status === 404 && homes.has(object.metadata.namespace ?? '-')) {
        // a namespace that is only tried is not there
        if (argv.output !== 'json' && argv.output !== 'yaml') print(`${name} not asked for: its namespace is yet to be`)
        continue
      }
      progress.clear()
      complain(`${file}:${line}: ${name}: ${error.message}`)
      failures++
    }
  }
  progress.clear()
  printObjects(applied, argv.output)
  if (failures > 0) throw new Failed(`${failures} of ${manifests.length} objects were refused`)
}

function printObjects(applied: readonly Applied[], output: Arguments['output']): void {
  const objects = applied.map((entry) => entry.object)
  const value = objects.length === 1 ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects }
  if (output === 'json') print(JSON.stringify(value, null, 2))
  if (output === 'yaml') print(stringify(value))
}
