// `culvert version`: of this build, of Node, and of what the build serves.
import type { CommandModule } from 'yargs'
import { print } from '../session.ts'
import { version } from '../version.ts'

interface Arguments {
  readonly output?: 'json' | undefined
}

export const versionCommand: CommandModule<object, Arguments> = {
  command: 'version',
  describe: 'Print the version',
  builder: (yargs) =>
    yargs.option('output', { alias: 'o', choices: ['json'] as const, describe: 'form of the output' }) as never,
  handler: (argv) => {
    const facts = { culvert: version, node: process.versions.node, platform: `${process.platform}/${process.arch}` }
    print(
      argv.output === 'json'
        ? JSON.stringify(facts)
        : `culvert ${facts.culvert} (Node ${facts.node}, ${facts.platform})`,
    )
  },
}
