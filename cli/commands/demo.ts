// `culvert demo`: the guided tour.
import type { CommandModule } from 'yargs'
import { Failed, interruption, paint, print } from '../session.ts'

interface Arguments {
  readonly once: boolean
  readonly name: string
  readonly output?: 'json' | undefined
}

export const demoCommand: CommandModule<object, Arguments> = {
  command: 'demo',
  describe: 'A guided tour: three hosts on this machine, captured, encrypted, governed',
  builder: (yargs) =>
    yargs
      .option('once', { type: 'boolean', default: false, describe: 'run as checks, then take everything down' })
      .option('name', { type: 'string', default: 'demo', requiresArg: true, describe: 'name of the lab' })
      .option('output', { alias: 'o', choices: ['json'] as const, describe: 'print steps and findings as JSON' })
      .example('$0 demo', 'take the tour and keep the mesh to play with')
      .example('$0 demo --once', 'check that everything works on this machine') as never,
  handler: async (argv) => {
    const { runDemo } = await import('../../lab/demo/demo.ts')
    const json = argv.output === 'json'
    const result = await runDemo({
      name: argv.name,
      once: argv.once,
      signal: interruption(),
      paint: paint(),
      write: json ? (text) => process.stderr.write(text) : (text) => process.stdout.write(text),
    })
    if (json) print(JSON.stringify(result, null, 2))
    if (!result.ok) throw new Failed('')
  },
}
