// `culvert context`: which meshes the kubeconfig knows, and which of them commands talk to.
import { stringify } from 'yaml'
import type { Argv, CommandModule } from 'yargs'
import { contextsOf, useContext } from '../contexts.ts'
import { kubeconfigFile } from '../kubeconfig.ts'
import { table } from '../render.ts'
import { print } from '../session.ts'

interface Arguments {
  readonly kubeconfig?: string | undefined
  readonly output?: 'json' | 'yaml' | 'name' | undefined
}

export const contextCommand: CommandModule = {
  command: 'context',
  describe: 'Choose between the meshes of a kubeconfig',
  builder: (yargs) =>
    yargs
      .command(listCommand)
      .command(useCommand)
      .demandCommand(1, 'name what to do: list or use')
      .example('$0 context list', 'the meshes that are known')
      .example('$0 context use prod', 'talk to another one from now on'),
  handler: () => undefined,
}

function fileOption<T>(yargs: Argv<T>): Argv<T & Arguments> {
  const describe = 'kubeconfig file (default: CULVERT_KUBECONFIG, KUBECONFIG)'
  return yargs.option('kubeconfig', { type: 'string', describe }) as unknown as Argv<T & Arguments>
}

const listCommand: CommandModule<object, Arguments> = {
  command: 'list',
  describe: 'List contexts; the current one has a star',
  builder: (yargs) =>
    fileOption(yargs)
      .option('output', { alias: 'o', choices: ['json', 'yaml', 'name'] as const, describe: 'form of the output' })
      .example('$0 context list', 'the meshes that are known') as never,
  handler: (argv) => {
    const contexts = contextsOf(kubeconfigFile({ kubeconfig: argv.kubeconfig }, process.env))
    if (argv.output === 'json') print(JSON.stringify(contexts, null, 2))
    else if (argv.output === 'yaml') print(stringify(contexts))
    else if (argv.output === 'name') for (const { name } of contexts) print(name)
    else {
      const rows = contexts.map(({ name, current, server, namespace }) => [
        current ? '*' : ' ',
        name,
        server,
        namespace,
      ])
      print(table(['CURRENT', 'NAME', 'SERVER', 'NAMESPACE'], rows))
    }
  },
}

const useCommand: CommandModule<object, Arguments & { readonly name: string }> = {
  command: 'use <name>',
  describe: 'Make a context the current one',
  builder: (yargs) =>
    fileOption(yargs)
      .positional('name', { type: 'string', demandOption: true, describe: 'of the context' })
      .example('$0 context use prod', 'talk to another mesh from now on') as never,
  handler: (argv) => {
    const file = kubeconfigFile({ kubeconfig: argv.kubeconfig }, process.env)
    useContext(file, argv.name)
    print(`commands talk to "${argv.name}" now (${file})`)
  },
}
