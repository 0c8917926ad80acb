// `culvert analyze`: what is wrong with resource files, or with the live mesh, before anybody notices it in traffic. Offline it needs
// nothing but the files.
import { readFileSync } from 'node:fs'
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import { analyze, findingOfProblem, findingsOf } from '../../core/analyze/analyze.ts'
import type { Finding } from '../../core/analyze/finding.ts'
import { Inventory, type InventorySettings } from '../../core/analyze/inventory.ts'
import { reaches, type Severity, severityOf } from '../../core/analyze/messages.ts'
import { kinds } from '../../core/model/kinds.ts'
import { validateManifests } from '../../core/model/manifest.ts'
import { formatPath, type Problem } from '../../core/model/problem.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { ApiClient } from '../client.ts'
import { loadManifests } from '../manifests.ts'
import { meshStatus } from '../mesh-status.ts'
import {
  type ApiArguments,
  apiOptions,
  Failed,
  type NamespaceArguments,
  namespaceOption,
  paint,
  print,
  withClient,
} from '../session.ts'

interface Arguments extends ApiArguments, NamespaceArguments {
  readonly files?: readonly string[] | undefined
  readonly filename?: readonly string[] | undefined
  readonly recursive: boolean
  readonly live: boolean
  readonly level: Severity
  readonly failAt: Severity
  readonly trustDomain: string
  readonly output?: 'json' | 'yaml' | undefined
}

/** One line of the output: where, what, and what to do. The stable form of `-o json`. */
export interface AnalysisEntry {
  readonly severity: Severity
  readonly code: string
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly object?: {
    readonly apiVersion: string
    readonly kind: string
    readonly namespace?: string
    readonly name: string
  }
  /** Below the object. */
  readonly path: string
  readonly message: string
  readonly remedy: string
}

const severities = ['info', 'warning', 'error'] as const
const rootNamespaces = ['culvert-system', 'istio-system']

export const analyzeCommand: CommandModule<object, Arguments> = {
  command: 'analyze [files..]',
  describe: 'Find mistakes in resource files, or in the live mesh',
  builder: (yargs) =>
    namespaceOption(apiOptions(yargs))
      .positional('files', { type: 'string', array: true, describe: 'files or folders; none: the live mesh' })
      .option('filename', {
        alias: 'f',
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'the same as an option; - reads standard input',
      })
      .option('recursive', { alias: 'R', type: 'boolean', default: false, describe: 'folders with those below them' })
      .option('live', { type: 'boolean', default: false, describe: 'look at the files together with the live mesh' })
      .option('level', { choices: severities, default: 'warning' as const, describe: 'least severity that is shown' })
      .option('fail-at', {
        choices: severities,
        default: 'warning' as const,
        describe: 'least severity that makes the exit code 1',
      })
      .option('trust-domain', {
        type: 'string',
        default: 'cluster.local',
        describe: 'of the mesh, where only files are looked at',
      })
      .option('output', { alias: 'o', choices: ['json', 'yaml'] as const, describe: 'form of the output' })
      .example('$0 analyze policies/ routes.yaml', 'check files, without any server')
      .example('$0 analyze', 'check the live mesh')
      .example('$0 analyze --live -f new.yaml', 'check a file as if it were applied already') as never,
  handler: async (argv) => {
    const paths = [...(argv.files ?? []), ...(argv.filename ?? [])]
    const offline = paths.length > 0 && !argv.live
    const entries = offline
      ? analyzeFiles(paths, argv, [])
      : await withClient(argv, (client) => analyzeLive(client, paths, argv))
    show(entries, argv)
  },
}

async function analyzeLive(
  client: ApiClient,
  paths: readonly string[],
  argv: Arguments,
): Promise<readonly AnalysisEntry[]> {
  const [mesh, ...lists] = await Promise.all([meshStatus(client), ...kinds.map((kind) => client.list(kind))])
  const objects = lists.flatMap(({ items }) => items)
  const trustDomain = mesh?.trustDomain ?? argv.trustDomain
  if (paths.length > 0) return analyzeFiles(paths, { ...argv, trustDomain }, objects)
  const chosen = analyze(objects, settingsOf(trustDomain, true)).filter(
    ({ object }) => argv.namespace === undefined || object.metadata.namespace === argv.namespace,
  )
  return chosen.map(({ object, ...finding }) => entryOf(finding, object, {}))
}

/** The findings of the files; `live` are the objects of a mesh that they are to join. */
function analyzeFiles(
  paths: readonly string[],
  argv: Pick<Arguments, 'namespace' | 'recursive' | 'trustDomain'>,
  live: readonly MeshObject[],
): readonly AnalysisEntry[] {
  const read = loadManifests(paths, argv.namespace ?? 'default', () => readFileSync(0, 'utf8'), argv.recursive)
  const inventory = new Inventory(settingsOf(argv.trustDomain, live.length > 0))
  const written = [...read.faulty, ...read.manifests]
  for (const object of [...live, ...written.map((manifest) => manifest.object)]) inventory.set(object)
  // loadManifests compares the objects with each other only where all are valid
  const clashes = read.faulty.length === 0 ? [] : validateManifests(read.manifests)
  const problems = [...read.problems, ...clashes].map((problem) =>
    entryOf(findingOfProblem(problem), undefined, problem),
  )
  const found = read.manifests.flatMap((manifest) =>
    findingsOf(manifest.object, inventory).map((finding) =>
      entryOf(finding, manifest.object, { file: manifest.file, ...manifest.locate(finding.at) }),
    ),
  )
  return [...problems, ...found].sort(byPlace)
}

function settingsOf(trustDomain: string, complete: boolean): InventorySettings {
  return { trustDomain, rootNamespaces, serviceDomain: 'svc.cluster.local', complete }
}

function entryOf(
  finding: Finding,
  object: MeshObject | undefined,
  { file, line, column }: Pick<Problem, 'file' | 'line' | 'column'>,
): AnalysisEntry {
  const { code, at, message, remedy } = finding
  return {
    severity: severityOf(code),
    code,
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
    ...(object === undefined ? {} : { object: referenceOf(object) }),
    path: formatPath(at),
    message,
    remedy,
  }
}

function referenceOf({ apiVersion, kind, metadata }: MeshObject): NonNullable<AnalysisEntry['object']> {
  const { name, namespace } = metadata
  return { apiVersion, kind, ...(namespace === undefined ? {} : { namespace }), name }
}

function byPlace(a: AnalysisEntry, b: AnalysisEntry): number {
  const [first = '', second = ''] = [a.file, b.file]
  if (first !== second) return first < second ? -1 : 1
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)
}

function show(entries: readonly AnalysisEntry[], argv: Arguments): void {
  const shown = entries.filter(({ severity }) => reaches(severity, argv.level))
  const summary = Object.fromEntries(
    severities.map((severity) => [`${severity}s`, entries.filter((entry) => entry.severity === severity).length]),
  )
  if (argv.output === 'json') print(JSON.stringify({ findings: shown, summary }, null, 2))
  else if (argv.output === 'yaml') print(stringify({ findings: shown, summary }))
  else print(shown.length === 0 ? 'nothing found' : shown.map(lineOf).join('\n'))
  if (!entries.some(({ severity }) => reaches(severity, argv.failAt))) return
  const { errors = 0, warnings = 0 } = summary
  throw new Failed(
    `${errors} ${errors === 1 ? 'error' : 'errors'}, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`,
  )
}

const tints = { error: 'red', warning: 'yellow', info: 'dim' } as const

function lineOf(entry: AnalysisEntry): string {
  const { severity, code, file, line, column, object, path, message, remedy } = entry
  const name =
    object === undefined
      ? ''
      : `${object.kind} ${object.namespace === undefined ? '' : `${object.namespace}/`}${object.name}`
  const place = file === undefined ? name : `${file}:${line}:${column}`
  const what = [place, path, message].filter((part) => part !== '').join(': ')
  return `${paint()(tints[severity], severity)} ${what} [${code}]\n  ${remedy}`
}
