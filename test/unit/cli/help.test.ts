// Every command explains itself in the same way.
import t from 'tap'
import yargs, { type CommandModule } from 'yargs'
import { commands } from '../../../cli/commands/all.ts'
import { groups } from '../../../cli/complaints.ts'

async function helpOf(words: readonly string[]): Promise<string> {
  const parser = yargs([...words, '--help'])
    .scriptName('culvert')
    .command([...commands])
    .exitProcess(false)
    .help()
  return await new Promise((resolve, reject) => {
    parser.parse([...words, '--help'], (error: Error | undefined, _argv: unknown, output: string) =>
      error === undefined || error === null ? resolve(output) : reject(error),
    )
  })
}

const nameOf = (command: CommandModule): string => String(command.command).split(' ')[0]!
const all = commands.flatMap((command) => {
  const name = nameOf(command)
  return [[name], ...(groups[name] ?? []).map((inner) => [name, inner])]
})

t.test('every command has a description and examples that are commands', async (t) => {
  for (const words of all) {
    const line = `culvert ${words.join(' ')}`
    const help = await helpOf(words)
    t.match(help, /\nExamples:\n/, line)
    const examples = help.slice(help.indexOf('Examples:')).match(/^ {2}culvert [a-z]+/gm) ?? []
    t.ok(examples.length > 0, `${line}: an example that can be typed`)
    t.ok(
      examples.every((example) => commands.some((command) => nameOf(command) === example.trim().split(' ')[1])),
      `${line}: examples name commands that there are`,
    )
  }
})

t.test('the form of the output is chosen by -o everywhere, and everywhere with the same words', async (t) => {
  const known = ['json', 'yaml', 'wide', 'name']
  for (const words of all) {
    const help = await helpOf(words)
    const option = /-o, --output[\s\S]*?\[choices: ([^\]]*)\]/.exec(help)?.[1]
    if (option === undefined) continue
    const choices = Array.from(option.matchAll(/"(\w+)"/g), (match) => match[1]!)
    t.ok(choices.length > 0 && choices.every((choice) => known.includes(choice)), words.join(' '))
  }
})
