// Short connections for a minute, then for another one: rates, failures, and what the daemons keep.
// `npm run soak -- short-connections [SECONDS] [CONCURRENCY]`.
import { shortConnections } from '../helpers/short-runs.ts'
import { argument, inLab, type Outcome, problem, soak } from '../helpers/soak.ts'
import { daemons, type TrafficLab } from '../helpers/traffic-lab.ts'

/** Issue 2. */
const leastPerSecond = 2_000
/** Of the second minute, when code and heap have come to rest. */
const mostGrowthKib = 16 * 1024

const plan = { durationMs: argument(0, 60) * 1_000, concurrency: argument(1, 64) }

async function run(lab: TrafficLab): Promise<Outcome> {
  const rounds = [await shortConnections(lab, plan), await shortConnections(lab, plan)]
  const last = rounds[1]!
  return {
    figures: { rounds },
    problems: [
      ...rounds.flatMap(({ report }) => [
        ...problem(report.failed > 0, `connections failed: ${JSON.stringify(report.failures)}`),
        ...problem(report.perSecond < leastPerSecond, `only ${report.perSecond} connections per second`),
      ]),
      ...daemons.flatMap((unit) => [
        ...problem(last.after[unit].descriptors > last.before[unit].descriptors, `${unit} kept descriptors`),
        ...problem(last.after[unit].rssKib - last.before[unit].rssKib > mostGrowthKib, `${unit} kept memory`),
      ]),
    ],
  }
}

await soak('short-connections', () => inLab('soakshort', run))
