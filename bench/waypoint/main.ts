// `npm run bench:waypoint`: a waypoint beside HAProxy and nginx in its place, between the same daemons, in interleaved rounds. Builds a
// lab, measures, prints a table, writes bench/results/waypoint.json and removes everything, also when interrupted.
import { mkdirSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { asMeshError } from '../../core/base/errors.ts'
import { type Judged, judge, renderJudged } from '../goals.ts'
import { list, whole } from '../options.ts'
import { resultsOf, seriesOf } from '../results.ts'
import { type Outcome, runScenarios } from '../runner.ts'
import { renderTable } from '../table.ts'
import { scenarios } from './scenarios.ts'
import { hops, isPlain, meshSubjects, plainSubjects, type Subject, subjects } from './subjects.ts'
import type { Target } from './target.ts'
import { World } from './world.ts'

const usage = `npm run bench:waypoint [-- FLAGS]

  --quick            small answers over HTTP/1.1 and HTTP/2 and gRPC, one second each, 3 rounds
  --subjects A,B     of ${subjects.join(', ')} (quick: without plain-)
  --scenarios A,B    names or groups: ${scenarios.map(({ name }) => name).join(', ')}; http1, http2, grpc
  --rounds N         (5; quick: 3)
  --seconds N        length of one run (2; quick: 1)
  --workers N        threads or processes of each proxy (1)
  --profile DIR      daemons and waypoint write CPU profiles there, at the end
  -o FILE            where the results go (bench/results/waypoint.json; quick: nowhere unless given)
`

/** Of the issue: HTTP/1.1, 1 KB, through daemon, waypoint, daemon. */
const goals = ['http1-1k-32', 'http1-1k-128'].flatMap((scenario) =>
  (['haproxy', 'nginx'] as const).map((against) => ({ scenario, metric: 'rate', against, floor: 0.6, goal: 1 })),
)

const began = performance.now()
function progress(text: string): void {
  process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(1).padStart(7)}  ${text}\n`)
}

function readOptions(words: readonly string[]) {
  const { values } = parseArgs({
    args: [...words],
    options: {
      quick: { type: 'boolean' },
      subjects: { type: 'string' },
      scenarios: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      workers: { type: 'string' },
      profile: { type: 'string' },
      output: { type: 'string', short: 'o' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const quick = values.quick === true
  const names = scenarios.flatMap(({ name, group }) => [name, group])
  const wanted = list(values.scenarios, names, '--scenarios')
  const chosen = list(values.subjects, subjects, '--subjects')
  return {
    help: values.help === true,
    subjects: subjects.filter((name) => (chosen.length > 0 ? chosen.includes(name) : !quick || !isPlain(name))),
    scenarios: scenarios.filter(({ name, group, quick: short }) =>
      wanted.length > 0 ? wanted.includes(name) || wanted.includes(group) : short || !quick,
    ),
    rounds: whole(values.rounds, quick ? 3 : 5, '--rounds'),
    seconds: whole(values.seconds, quick ? 1 : 2, '--seconds'),
    workers: whole(values.workers, 1, '--workers'),
    profile: values.profile === undefined ? undefined : resolve(values.profile),
    output: values.output ?? (quick ? undefined : 'bench/results/waypoint.json'),
  }
}

type Options = ReturnType<typeof readOptions>

async function bench(options: Options, signal: AbortSignal): Promise<Outcome> {
  const { rounds, seconds, workers, profile } = options
  if (profile !== undefined) mkdirSync(profile, { recursive: true })
  const nodeOptions = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  const world = await World.up({ subjects: options.subjects, workers, nodeOptions, progress, signal })
  try {
    await warmUp(world.targets, signal)
    const settings = { seconds, rate: 0, churnMinutes: 0 }
    return await runScenarios<Target>({
      scenarios: options.scenarios,
      targets: world.targets,
      rounds,
      settings,
      progress,
      signal,
    })
  } finally {
    progress('removing the lab')
    await world.close()
  }
}

const warmRequests = 40_000

async function warmUp(targets: readonly Target[], signal: AbortSignal): Promise<void> {
  for (const target of targets) {
    signal.throwIfAborted()
    // By the request, since a compiler that watches the code is at it for ten thousands of them; all targets get as many.
    for (let requests = 0, tries = 0; requests < warmRequests && tries < 10; tries += 1) {
      requests += (await target.wrk({ path: '/1k', connections: 32, seconds: 2 })).requests
    }
    await target.h2load({ path: '/1k', connections: 8, streams: 4, seconds: 3 }).catch((error: unknown) => {
      progress(`${target.name}: warm-up: ${asMeshError(error, 'LAB_FAILED').message}`)
    })
  }
}

function report(options: Options, { samples, failures }: Outcome): void {
  const series = seriesOf(samples)
  const of = (group: readonly Subject[]): readonly Subject[] => group.filter((name) => options.subjects.includes(name))
  process.stdout.write(`\n${renderTable(series, of(meshSubjects), 'culvert')}`)
  if (of(plainSubjects).length > 0) {
    process.stdout.write(`\nwithout a mesh:\n${renderTable(series, of(plainSubjects), 'plain-culvert')}`)
  }
  process.stdout.write('\nhops:\n')
  for (const subject of options.subjects)
    process.stdout.write(`  ${subject}: ${hops[subject as Subject].join(' → ')}\n`)
  const judged: readonly Judged[] = judge(series, goals)
  if (judged.length > 0) process.stdout.write(`\n${renderJudged(judged)}`)
  for (const { scenario, subject, round, reason } of failures) {
    process.stdout.write(`failed: ${scenario}, ${subject}, round ${round + 1}: ${reason}\n`)
  }
  if (options.output === undefined) return
  const file = resolve(options.output)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(resultsOf(samples), null, 1)}\n`)
  progress(`wrote ${file}`)
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  const [load = 0] = loadavg()
  if (load > 1) progress(`load average ${load.toFixed(1)}: others are using this machine, and the figures will show it`)
  const abort = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => abort.abort())
  const outcome = await bench(options, abort.signal)
  report(options, outcome)
  return outcome.failures.some(({ subject }) => subject === 'culvert') ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error: unknown) {
  process.stderr.write(`${asMeshError(error, 'LAB_FAILED').message}\n`)
  process.exitCode = 1
}
