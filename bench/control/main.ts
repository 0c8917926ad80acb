// `npm run bench:control`: a real control plane and hundreds of simulated agents. Prints a table, writes
// bench/results/control.json. README.md says what is measured.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { asMeshError, MeshError } from '../../core/base/errors.ts'
import { type RoundSample, resultsOf, type Sample, seriesOf } from '../results.ts'
import { renderTable } from '../table.ts'
import { compileCost } from './compile-cost.ts'
import type { MeshSize } from './mesh.ts'
import { runScenario } from './scenario.ts'

const usage = `npm run bench:control [-- FLAGS]

  --hosts N            simulated agents (200)
  --workloads N        in all (10000)
  --services N         in all (1000)
  --changes N          endpoint changes that are measured one by one (250)
  --churn N            changes per second of the second measurement (20)
  --churn-seconds N    and its length (10)
  --processes N        processes that the agents share (2)
  --no-small           without the run at a tenth of the size, which shows what grows with the mesh
  --profile DIR        the control plane writes CPU profiles there
  -o FILE              where the results go (bench/results/control.json)
`

const began = performance.now()
function progress(text: string): void {
  process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(1).padStart(7)}  ${text}\n`)
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        hosts: { type: 'string', default: '200' },
        workloads: { type: 'string', default: '10000' },
        services: { type: 'string', default: '1000' },
        changes: { type: 'string', default: '250' },
        churn: { type: 'string', default: '20' },
        'churn-seconds': { type: 'string', default: '10' },
        processes: { type: 'string', default: '2' },
        'no-small': { type: 'boolean', default: false },
        profile: { type: 'string' },
        output: { type: 'string', short: 'o', default: 'bench/results/control.json' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (cause: unknown) {
    throw new MeshError('CONFIG_INVALID', cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function count(text: string, flag: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new MeshError('CONFIG_INVALID', `${flag}: expected a whole number above 0, found "${text}"`)
}

async function main(): Promise<void> {
  const values = parse(process.argv.slice(2))
  if (values.help) {
    process.stdout.write(usage)
    return
  }
  const hosts = count(values.hosts, '--hosts')
  const large: MeshSize = {
    hosts,
    workloads: count(values.workloads, '--workloads'),
    services: count(values.services, '--services'),
  }
  const small = { hosts, workloads: Math.ceil(large.workloads / 10), services: Math.ceil(large.services / 10) }
  const sizes = values['no-small'] ? [large] : [small, large]
  const samples: RoundSample[] = []
  for (const size of sizes) {
    const scenario = `control-${size.workloads}`
    const add = (found: readonly Sample[]): void => {
      samples.push(...found.map((entry) => ({ ...entry, scenario, subject: 'culvert' as const, round: 0 })))
    }
    progress(`compiling ${size.workloads} workloads`)
    add(compileCost(size))
    add(
      await runScenario({
        size,
        changes: count(values.changes, '--changes'),
        churnPerSecond: count(values.churn, '--churn'),
        churnSeconds: count(values['churn-seconds'], '--churn-seconds'),
        processes: count(values.processes, '--processes'),
        profile: values.profile === undefined ? undefined : resolve(values.profile),
        progress,
      }),
    )
  }
  process.stdout.write(renderTable(seriesOf(samples), ['culvert'], 'culvert'))
  const file = resolve(values.output)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(resultsOf(samples), null, 1)}\n`)
  progress(`wrote ${file}`)
}

try {
  await main()
} catch (error: unknown) {
  process.stderr.write(`${asMeshError(error, 'LAB_FAILED').message}\n`)
  process.exitCode = 1
}
