// Half an hour of connections that talk, come and go and carry bulk, with certificates of one minute: nothing fails, every byte is
// accounted for on both sides, memory is flat. `npm run soak -- mixed [SECONDS] [CONNECTIONS PER SECOND]`.
import { growthProblems, mixedLoad, mixedProblems, rssSlope } from '../helpers/mixed-runs.ts'
import { argument, inLab, type Outcome, problem, soak } from '../helpers/soak.ts'
import { daemons, type TrafficLab } from '../helpers/traffic-lab.ts'

const seconds = argument(0, 1_800)
const perSecond = argument(1, 100)
const sampleMs = 5_000
const plan = { durationMs: seconds * 1_000, talkers: 32, perSecond, bulkBytes: 16 * 1024 * 1024 }

async function run(lab: TrafficLab): Promise<Outcome> {
  const figures = await mixedLoad(lab, plan, sampleMs)
  const { report, counted, samples, certificates, left } = figures
  const ofUnits = <T>(of: (unit: (typeof daemons)[number]) => T) =>
    Object.fromEntries(daemons.map((unit) => [unit, of(unit)]))
  return {
    figures: {
      seconds,
      report,
      counted,
      left,
      certificates,
      rssKib: ofUnits((unit) => everyTenth(samples.map(({ weights }) => weights[unit].rssKib))),
      descriptors: ofUnits((unit) => everyTenth(samples.map(({ weights }) => weights[unit].descriptors))),
      slope: ofUnits((unit) => rssSlope(samples, unit)),
    },
    problems: [
      ...mixedProblems(figures),
      ...growthProblems(samples),
      ...problem(certificates < seconds / 60, `only ${certificates} certificates`),
    ],
  }
}

/** Ten of the values, evenly. */
function everyTenth(values: readonly number[]): readonly number[] {
  return values.filter((_, index) => index % Math.max(1, Math.floor(values.length / 10)) === 0)
}

await soak('mixed', () => inLab('soakmixed', run, { leafLifetime: '60s' }))
