// `culvert label`: sets and removes labels, as `kubectl label` does.
import type { CommandModule } from 'yargs'
import type { Kind } from '../../core/model/kinds/kind.ts'
import { objectName } from '../apply.ts'
import { type ApiClient, ApiError } from '../client.ts'
import { changeLabels, type LabelChange, parseLabelChanges } from '../labels.ts'
import {
  type ApiArguments,
  apiOptions,
  Failed,
  type NamespaceArguments,
  namespaceOption,
  parseTargets,
  print,
  UsageError,
  withClient,
} from '../session.ts'

interface Arguments extends ApiArguments, NamespaceArguments {
  readonly target: readonly string[]
  readonly overwrite: boolean
}

export const labelCommand: CommandModule<object, Arguments> = {
  command: 'label <target..>',
  describe: 'Set (KEY=VALUE) and remove (KEY-) labels',
  builder: (yargs) =>
    namespaceOption(apiOptions(yargs))
      .positional('target', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'KIND NAME… KEY=VALUE… KEY-…',
      })
      .option('overwrite', { type: 'boolean', default: false, describe: 'change labels that have another value' })
      .example('$0 label namespace shop culvert.dev/dataplane-mode=ambient', 'enrol the workloads of a namespace')
      .example('$0 label namespace shop culvert.dev/dataplane-mode-', 'take them out of the mesh again') as never,
  handler: (argv) => withClient(argv, (client) => label(client, argv)),
}

async function label(client: ApiClient, argv: Arguments): Promise<void> {
  const { names, changes } = parseLabelChanges(argv.target)
  if (changes.length === 0) throw new UsageError('give at least one KEY=VALUE or KEY-')
  const namespace = argv.namespace ?? client.namespace
  for (const target of parseTargets(names)) {
    if (target.names.length === 0) throw new UsageError(`name the ${target.kind.plural} to label`)
    for (const name of target.names) await labelOne(client, target.kind, namespace, name, changes, argv.overwrite)
  }
}

async function labelOne(
  client: ApiClient,
  kind: Kind,
  namespace: string,
  name: string,
  changes: readonly LabelChange[],
  overwrite: boolean,
): Promise<void> {
  for (let round = 1; ; round++) {
    const object = await client.get(kind, namespace, name)
    if (object === undefined) throw new Failed(`${kind.plural} "${name}" not found`)
    const result = changeLabels(object.metadata.labels ?? {}, changes, overwrite)
    if (!result.ok) throw new Failed(`${objectName(kind, name)}: ${result.reason}`)
    if (!result.changed) {
      print(`${objectName(kind, name)} not labeled`)
      return
    }
    try {
      await client.update(kind, { ...object, metadata: { ...object.metadata, labels: result.labels } })
      print(`${objectName(kind, name)} labeled`)
      return
    } catch (error: unknown) {
      if (!(error instanceof ApiError && error.status === 409) || round === 5) throw error
    }
  }
}
