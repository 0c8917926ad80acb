// Ten rolling restarts of the daemons of both ends under new connections and name look-ups at a fixed rate, with connections
// that stay open throughout. `npm run soak -- restarts [RESTARTS] [CONNECTIONS PER SECOND]`.
import { rollingRestarts } from '../helpers/restart-runs.ts'
import { argument, inLab, type Outcome, problem, soak } from '../helpers/soak.ts'
import { daemons, type TrafficLab } from '../helpers/traffic-lab.ts'

const restarts = argument(0, 10)
const perSecond = argument(1, 500)

/** Issue 3: none refused, none reset. */
async function run(lab: TrafficLab): Promise<Outcome> {
  const units = Array.from({ length: restarts }, (_, index) => daemons[(index + 1) % 2]!)
  const figures = await rollingRestarts(lab, units, perSecond)
  const { report, kept } = figures
  const rate = (report.connections / report.durationMs) * 1_000
  return {
    figures,
    problems: [
      ...problem(report.failed > 0, `connections failed: ${JSON.stringify(report.failures)}`),
      ...problem(report.namesFailed > 0, `look-ups failed: ${JSON.stringify(report.nameFailures)}`),
      ...problem(rate < perSecond * 0.9, `only ${Math.round(rate)} connections per second were started`),
      ...problem(kept.answering < kept.opened, `${kept.opened - kept.answering} connections that stay open were lost`),
    ],
  }
}

await soak('restarts', () => inLab('soakrestarts', run, { drainTimeout: 'unlimited' }))
