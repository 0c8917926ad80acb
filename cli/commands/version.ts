// `culvert version`: of this build, of Node, and of what the build serves.
import { stringify } from 'yaml'
import type { CommandModule } from 'yargs'
import { print } from '../session.ts'
import { version } from '../version.ts'

interface Arguments {
  readonly output?: 'json' | 'yaml' | undefined
}

export const versionCommand: CommandModule<object, Arguments> = {
  command: 'version',
  describe: 'Print the version',
  builder: (yargs) =>
    yargs
      .option('output', { alias: 'o', choices: ['json', 'yaml'] as const, describe: 'form of the output' })
      .example('$0 version -o json', 'for a program') as never,
  handler: (argv) => {
    const facts = { culvert: version, node: process.versions.node, platform: `${process.platform}/${process.arch}` }
    if (argv.output === 'yaml') return print(stringify(facts))
    print(
      argv.output === 'json'
        ? JSON.stringify(facts)
        : `culvert ${facts.culvert} (Node ${facts.node}, ${facts.platform})`,
    )
  },
}
