// `culvert describe`: one object in full, its conditions first, for people.

import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import type { MeshObject } from '../../core/model/resource.ts'
import type { ApiClient } from '../client.ts'
import { lastAppliedAnnotation } from '../merge.ts'
import { age, type Paint, table } from '../render.ts'
import {
  type ApiArguments,
  apiOptions,
  Failed,
  type NamespaceArguments,
  namespaceOption,
  paint,
  parseTargets,
  print,
  withClient,
} from '../session.ts'

interface Arguments extends ApiArguments, NamespaceArguments {
  readonly target: readonly string[]
}

export const describeCommand: CommandModule<object, Arguments> = {
  command: 'describe <target..>',
  describe: 'Show resources in full, with what the mesh says about them',
  builder: (yargs) =>
    namespaceOption(apiOptions(yargs))
      .positional('target', { type: 'string', array: true, demandOption: true, describe: 'KIND [NAME…] or KIND/NAME…' })
      .example('$0 describe ap allow-frontend -n shop', 'a policy, and whether it is enforced') as never,
  handler: (argv) => withClient(argv, (client) => describe(client, argv)),
}

async function describe(client: ApiClient, argv: Arguments): Promise<void> {
  const namespace = argv.namespace ?? client.namespace
  const texts: string[] = []
  for (const { kind, names } of parseTargets(argv.target)) {
    const objects: MeshObject[] = []
    if (names.length === 0) objects.push(...(await client.list(kind, { namespace })).items)
    for (const name of names) {
      const object = await client.get(kind, namespace, name)
      if (object === undefined) throw new Failed(`${kind.plural} "${name}" not found`)
      objects.push(object)
    }
    texts.push(...objects.map((object) => describeObject(object, Date.now(), paint())))
  }
  if (texts.length === 0) throw new Failed('no resources found')
  print(texts.join('\n\n'))
}

/** The text for one object. */
export function describeObject(object: MeshObject, now: number, paint: Paint): string {
  const { metadata } = object
  const created = metadata.creationTimestamp
  const lines = [
    ['Name', metadata.name],
    ['Namespace', metadata.namespace ?? ''],
    ['Kind', `${object.kind} (${object.apiVersion})`],
    ['Created', created === undefined ? '' : `${created} (${age(now - Date.parse(created))} ago)`],
    ['Labels', pairs(metadata.labels)],
    ['Annotations', pairs(metadata.annotations)],
  ].filter(([, value]) => value !== '')
  const head = lines.map(([key, value]) => `${paint('bold', `${key}:`.padEnd(13))}${value}`).join('\n')
  const { conditions, ...status } = object.status ?? {}
  return [
    head,
    ...(object.spec === undefined ? [] : [section('Spec', stringify(object.spec), paint)]),
    ...(Object.keys(status).length === 0 ? [] : [section('Status', stringify(status), paint)]),
    ...(conditions === undefined || conditions.length === 0
      ? []
      : [
          section(
            'Conditions',
            table(
              ['TYPE', 'STATUS', 'REASON', 'MESSAGE'],
              conditions.map((condition) => [condition.type, condition.status, condition.reason, condition.message]),
            ),
            paint,
          ),
        ]),
  ].join('\n')
}

function section(title: string, text: string, paint: Paint): string {
  const body = text.trimEnd().replaceAll(/^/gm, '  ')
  return `${paint('bold', `${title}:`)}\n${body}`
}

function pairs(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .filter(([key]) => key !== lastAppliedAnnotation)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n             ')
}
