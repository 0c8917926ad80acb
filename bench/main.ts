// `npm run bench`: Culvert beside its peers, on the same work, in interleaved rounds. Builds a lab, measures, prints a table, writes
// bench/results/latest.json and removes everything, also when interrupted. README.md says what is measured and how fair it is.
import { mkdirSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { dirname, resolve } from 'node:path'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import { judge, renderJudged } from './goals.ts'
import { type BenchOptions, parseOptions, usage } from './options.ts'
import { resultsOf, seriesOf } from './results.ts'
import { type Outcome, runScenarios } from './runner.ts'
import { bulkScenarios } from './scenarios/bulk.ts'
import { churnScenarios, memoryScenarios } from './scenarios/endurance.ts'
import { requestScenarios } from './scenarios/requests.ts'
import type { Scenario } from './scenarios/scenario.ts'
import type { Measured } from './subjects.ts'
import { renderTable } from './table.ts'
import type { Target } from './target.ts'
import { World } from './world.ts'

const scenarios: readonly Scenario[] = [...memoryScenarios, ...requestScenarios, ...bulkScenarios, ...churnScenarios]
const names = [...new Set(scenarios.flatMap(({ group, name }) => [group, name]))]

const began = performance.now()
function progress(text: string): void {
  process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(1).padStart(7)}  ${text}\n`)
}

function chosen({ quick, scenarios: wanted }: BenchOptions): readonly Scenario[] {
  if (wanted.length > 0) return scenarios.filter(({ name, group }) => wanted.includes(name) || wanted.includes(group))
  return quick ? scenarios.filter((scenario) => scenario.quick) : scenarios
}

async function bench(options: BenchOptions, signal: AbortSignal): Promise<Outcome> {
  const { subjects, uncaptured, workers, profile } = options
  const nodeOptions = [...options.nodeOptions, ...(profile === undefined ? [] : profiling(profile))]
  const world = await World.up({ subjects, uncaptured, workers, nodeOptions, progress, signal })
  try {
    for (const target of world.targets) tellProcesses(target)
    const run = chosen(options)
    const { rounds, seconds, rate, churnMinutes } = options
    // Memory comes first, of daemons that have done nothing yet.
    const cold = run.filter(({ how }) => how === 'once')
    const warm = run.filter(({ how }) => how !== 'once')
    const plan = { targets: world.targets, rounds, settings: { seconds, rate, churnMinutes }, progress, signal }
    const first = await runScenarios<Target>({ ...plan, scenarios: cold })
    if (warm.length > 0) await warmUp(world.targets, options.quick ? 1 : 5, signal)
    const then = await runScenarios<Target>({ ...plan, scenarios: warm })
    return { samples: [...first.samples, ...then.samples], failures: [...first.failures, ...then.failures] }
  } finally {
    progress('removing the lab')
    await world.close()
  }
}

/** For whoever wants to look at them with a profiler or a debugger meanwhile. */
function tellProcesses(target: Target): void {
  const processes = target.processes()
  if (processes === undefined || target.name.endsWith('-uncaptured')) return
  progress(`${target.name}: processes ${processes.client.join(' ')} (client), ${processes.server.join(' ')} (server)`)
}

function profiling(folder: string): readonly string[] {
  mkdirSync(folder, { recursive: true })
  return ['--cpu-prof', `--cpu-prof-dir=${folder}`]
}

/**
 * Before the first round everybody's code is compiled and sessions are open; with five seconds a daemon of Culvert takes itself for one that
 * is at work, and keeps its code through the turns of the others (core/base/quiet.ts). One by one: all at once, nobody gets
 * warm.
 */
async function warmUp(targets: readonly Target[], seconds: number, signal: AbortSignal): Promise<void> {
  for (const target of targets.filter(({ name }) => !name.endsWith('-uncaptured'))) {
    const bulk = { kind: 'bulk', ...target.destination('bulk'), streams: 2, direction: 'both' } as const
    try {
      await target.wrk({ connections: 64, seconds: 2, fresh: true })
      await target.wrk({ connections: 32, seconds })
      await target.generator.run({ ...bulk, warmMs: 0, ms: 300 })
    } catch (error: unknown) {
      // Where it lasts, the rounds tell.
      progress(`${target.name}: warm-up: ${asMeshError(error, 'LAB_FAILED').message}`)
    }
    signal.throwIfAborted()
  }
}

function report(options: BenchOptions, { samples, failures }: Outcome): void {
  const series = seriesOf(samples)
  process.stdout.write(`\n${renderTable(series, options.subjects, 'culvert')}`)
  if (options.uncaptured.length > 0) {
    const without: readonly Measured[] = options.uncaptured.map((peer) => `${peer}-uncaptured` as const)
    process.stdout.write(`\nwithout capture (the client dials the peer itself; Culvert has no such mode):\n`)
    process.stdout.write(renderTable(series, without, 'culvert'))
  }
  const judged = judge(series)
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
  const options = parseOptions(process.argv.slice(2), names)
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  const [load = 0] = loadavg()
  if (load > 1) progress(`load average ${load.toFixed(1)}: others are using this machine, and the figures will show it`)
  const abort = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => abort.abort())
  const outcome = await bench(options, abort.signal).catch((error: unknown) => {
    if (abort.signal.aborted) throw new MeshError('ABORTED', 'interrupted; everything has been removed')
    throw error
  })
  report(options, outcome)
  return outcome.failures.some(({ subject }) => subject === 'culvert') ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error: unknown) {
  process.stderr.write(`${asMeshError(error, 'LAB_FAILED').message}\n`)
  process.exitCode = 1
}
