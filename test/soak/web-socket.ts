// A WebSocket through two daemons and a waypoint that sends much and gets every byte back. `npm run soak -- web-socket [MEBIBYTES]`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { socketInside } from '../../lab/probe.ts'
import { argument, type Outcome, problem, soak } from '../helpers/soak.ts'
import { weigh } from '../helpers/traffic-lab.ts'
import { WaypointLab } from '../helpers/waypoint-lab.ts'
import { echoThroughWebSocket } from '../helpers/web-socket-run.ts'

const mebibytes = argument(0, 1_024)
const mostGrowthKib = 64 * 1024

async function run(): Promise<Outcome> {
  const stateDir = mkdtempSync(join(tmpdir(), 'culvert-soak-'))
  const lab = await WaypointLab.up('soakwebsocket', stateDir)
  try {
    const [replica = ''] = lab.replicas
    const weight = (): number => weigh(lab.mesh.pid(replica)!).rssKib
    const before = weight()
    const { netns } = lab.mesh.workload('shop/client')
    const target = { address: lab.mesh.vip('shop/orders'), port: 80 }
    const echoed = await echoThroughWebSocket(() => socketInside(netns, target), 'orders', mebibytes * 1024 * 1024)
    const growthKib = weight() - before
    return {
      figures: { echoed, growthKib },
      problems: [
        ...problem(echoed.sentSha256 !== echoed.receivedSha256, 'other bytes came back'),
        ...problem(growthKib > mostGrowthKib, `the waypoint grew by ${growthKib} KiB`),
      ],
    }
  } finally {
    await lab.close()
    rmSync(stateDir, { recursive: true, force: true })
  }
}

await soak('web-socket', run)
