// The command line of `npm run bench`: parsed once, every mistake named. Pure; unit tested.
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { MeshError } from '../core/base/errors.ts'
import { isPeer, type Peer, type Subject, subjects } from './subjects.ts'

export interface BenchOptions {
  readonly quick: boolean
  readonly subjects: readonly Subject[]
  readonly uncaptured: readonly Peer[]
  /** Names or groups; all without. */
  readonly scenarios: readonly string[]
  readonly rounds: number
  readonly seconds: number
  readonly rate: number
  readonly workers: number
  readonly churnMinutes: number
  /** Where daemons write CPU profiles. */
  readonly profile: string | undefined
  readonly nodeOptions: readonly string[]
  readonly output: string | undefined
  readonly help: boolean
}

export const usage = `npm run bench [-- FLAGS]

  --quick              requests at 32 and 128, new connections and bulk against HAProxy alone, within a minute
  --subjects A,B       of ${subjects.join(', ')}
  --scenarios A,B      names (requests-32, bulk-up-8 ...) or groups: requests, open-loop, connections, bulk, beside, memory, churn
  --rounds N           rounds of each scenario, interleaved (5; quick: 3)
  --seconds N          length of one run (2; quick: 0.5, and 1 where wrk is the generator)
  --rate N             requests per second of the open loop (2000)
  --workers N          data workers of a daemon, threads or processes of a peer (1)
  --churn-minutes N    how long 100 connections per second come and go (1)
  --no-uncaptured      without the second table: peers whose client dials them itself
  --profile DIR        daemons write CPU profiles there, at the end
  --node-options WORDS more options for the Node of the daemons (--node-options="--perf-basic-prof")
  -o FILE              where the results go (bench/results/latest.json; quick: nowhere unless given)
`

/** Throws CONFIG_INVALID. */
export function parseOptions(words: readonly string[], known: readonly string[]): BenchOptions {
  const { values } = parse(words)
  const quick = values.quick === true
  const chosen = list(values.subjects, subjects, '--subjects') as readonly Subject[]
  const selected = chosen.length > 0 ? chosen : quick ? (['culvert', 'haproxy'] as const) : subjects
  const ordered = subjects.filter((subject) => selected.includes(subject))
  return {
    quick,
    subjects: ordered,
    uncaptured: quick || values['no-uncaptured'] === true ? [] : ordered.filter(isPeer),
    scenarios: list(values.scenarios, known, '--scenarios'),
    rounds: whole(values.rounds, quick ? 3 : 5, '--rounds'),
    seconds: positive(values.seconds, quick ? 0.5 : 2, '--seconds'),
    rate: whole(values.rate, 2_000, '--rate'),
    workers: whole(values.workers, 1, '--workers'),
    churnMinutes: positive(values['churn-minutes'], 1, '--churn-minutes'),
    profile: values.profile === undefined ? undefined : resolve(values.profile),
    nodeOptions: (values['node-options'] ?? '').split(' ').filter((word) => word !== ''),
    output: values.output ?? (quick ? undefined : 'bench/results/latest.json'),
    help: values.help === true,
  }
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        quick: { type: 'boolean' },
        subjects: { type: 'string' },
        scenarios: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        rate: { type: 'string' },
        workers: { type: 'string' },
        'churn-minutes': { type: 'string' },
        'no-uncaptured': { type: 'boolean' },
        profile: { type: 'string' },
        'node-options': { type: 'string' },
        output: { type: 'string', short: 'o' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (cause: unknown) {
    throw new MeshError('CONFIG_INVALID', cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

export function list(text: string | undefined, known: readonly string[], flag: string): readonly string[] {
  const words = (text ?? '').split(',').filter((word) => word !== '')
  const strange = words.filter((word) => !known.includes(word))
  if (strange.length === 0) return words
  throw new MeshError('CONFIG_INVALID', `${flag}: no ${strange.join(', ')}; there are ${known.join(', ')}`)
}

function positive(text: string | undefined, fallback: number, flag: string): number {
  const value = text === undefined ? fallback : Number(text)
  if (text?.trim() !== '' && value > 0 && value <= 100_000) return value
  throw new MeshError('CONFIG_INVALID', `${flag}: expected a number above 0, found "${text}"`)
}

export function whole(text: string | undefined, fallback: number, flag: string): number {
  const value = positive(text, fallback, flag)
  if (Number.isInteger(value)) return value
  throw new MeshError('CONFIG_INVALID', `${flag}: expected a whole number, found "${text}"`)
}
