// Half an hour of requests through a waypoint of two replicas: a change of rules every second, endpoints that come and go, instances
// that are killed, a restart of a replica each minute. No request is lost and memory is flat. `npm run soak -- waypoint [SECONDS]`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argument, type Outcome, soak } from '../helpers/soak.ts'
import { WaypointLab } from '../helpers/waypoint-lab.ts'
import { changeProblems, memoryProblems, underChange } from '../helpers/waypoint-runs.ts'

const seconds = argument(0, 1_800)
const plan = { seconds, restartEvery: 60, endpointEvery: 5, killEvery: 20, concurrency: 16 }
/** Memory is looked at without restarts, all else going on. */
const quietSeconds = Math.max(120, Math.round(seconds / 3))
const mostGrowthKib = 8 * 1024

async function run(): Promise<Outcome> {
  const stateDir = mkdtempSync(join(tmpdir(), 'culvert-soak-'))
  const lab = await WaypointLab.up('soakwaypoint', stateDir, 2)
  try {
    const changed = await underChange(lab, plan)
    const quietPlan = { ...plan, seconds: quietSeconds, restartEvery: 0 }
    const quiet = await underChange(lab, quietPlan)
    return {
      figures: { seconds, changed, quiet },
      problems: [
        ...changeProblems(changed, plan),
        ...changeProblems(quiet, quietPlan),
        ...memoryProblems(quiet, mostGrowthKib),
      ],
    }
  } finally {
    await lab.close()
    rmSync(stateDir, { recursive: true, force: true })
  }
}

await soak('waypoint', run)
