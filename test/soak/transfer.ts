// Large transfers and slow readers, longer and wider than the test: `npm run soak -- transfer [GIBIBYTES] [SLOW READERS]`.
import { argument, inLab, type Outcome, problem, soak } from '../helpers/soak.ts'
import type { TransferReport } from '../helpers/traffic/transfer.ts'
import { daemons, type TrafficLab } from '../helpers/traffic-lab.ts'
import { deafClient, deafServer } from '../helpers/transfer-runs.ts'

const gibibytes = argument(0, 4)
const readers = argument(1, 4)
const mebibyte = 1024 * 1024
/** Issue 2, for one slow reader; the windows of a session are as much for all of its streams together. */
const mostGrowthKib = 16 * 1024

async function run(lab: TrafficLab): Promise<Outcome> {
  const slow = {
    server: await deafServer(lab, 1),
    client: await deafClient(lab, 1, 32 * mebibyte),
    servers: await deafServer(lab, readers),
    clients: await deafClient(lab, readers, 32 * mebibyte),
  }
  const bytes = gibibytes * 1024 * mebibyte
  const plan = { host: lab.host, bytes }
  const { up, down, bytesDown, durationMs } = await lab.run<TransferReport>('transfer', plan, 120_000 * gibibytes)
  const mebibytesPerSecond = Math.round((2 * bytes) / mebibyte / (durationMs / 1_000))
  return {
    figures: { slow, transfer: { bytesEachWay: bytes, durationMs, mebibytesPerSecondBothWays: mebibytesPerSecond } },
    problems: [
      ...Object.entries(slow).flatMap(([which, { intact, growthKib }]) => [
        ...problem(!intact, `slow ${which}: bytes were lost`),
        ...daemons.flatMap((unit) => problem(growthKib[unit] > mostGrowthKib, `slow ${which}: ${unit} grew too much`)),
      ]),
      ...problem(up.arrived !== up.sent || down.arrived !== down.sent || bytesDown !== bytes, 'other bytes arrived'),
    ],
  }
}

await soak('transfer', () => inLab('soaktransfer', run))
