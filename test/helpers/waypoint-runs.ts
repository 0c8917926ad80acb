// Traffic through a waypoint while everything around it changes: rules every second, endpoints that come and go, replicas that are
// restarted; for waypoint-changes.test.ts and the soak `waypoint`.
import { sleep } from '../../core/base/deadline.ts'
import type { LoadReport } from '../../lab/load/load.ts'
import { weigh } from './traffic-lab.ts'
import { destinationRule, type Instance, virtualService, type WaypointLab } from './waypoint-lab.ts'

export interface ChangePlan {
  readonly seconds: number
  /** Seconds between restarts of a replica, in turn; 0: none. */
  readonly restartEvery: number
  /** Seconds between endpoints that leave, or come back. */
  readonly endpointEvery: number
  /** At least so many seconds between kills of an instance's process; 0: none. */
  readonly killEvery: number
  readonly concurrency: number
}

export interface ChangeFigures {
  readonly report: LoadReport
  readonly changes: number
  readonly restarts: number
  readonly moves: number
  readonly kills: number
  /** KiB by replica, over time; a restarted replica begins anew. */
  readonly rssKib: Readonly<Record<string, readonly number[]>>
}

const retries = 'retries: {attempts: 5, retryOn: "reset,connect-failure,refused-stream,503,gateway-error"}'

/** What the rules are in second `n`: another one in each, all of them right. */
function rules(n: number): string {
  const first = 10 * (n % 11)
  const weights = [
    `{destination: {host: orders, subset: v1}, weight: ${first}}`,
    `{destination: {host: orders, subset: v2}, weight: ${100 - first}}`,
  ]
  const rule = `
- match: [{headers: {x-turn: {exact: "${n}"}}}]
  ${retries}
  route: [{destination: {host: orders}}]
- ${retries}
  timeout: ${10 + (n % 5)}s
  headers: {response: {set: {x-turn: "${n}"}}}
  route: [${weights.join(', ')}]`
  const balance = ['LEAST_REQUEST', 'ROUND_ROBIN', 'RANDOM'][n % 3]
  const subsets = `subsets:\n- {name: v1, labels: {version: v1}}\n- {name: v2, labels: {version: v2}}`
  return `${virtualService(rule)}---\n${destinationRule(`loadBalancer: {simple: ${balance}}`, subsets)}`
}

export async function underChange(lab: WaypointLab, plan: ChangePlan): Promise<ChangeFigures> {
  await lab.apply(rules(0))
  const load = lab.startLoad({
    url: 'http://orders/',
    concurrency: plan.concurrency,
    timeoutMs: 30_000,
    retryStale: true,
  })
  const end = performance.now() + plan.seconds * 1_000
  const going = (): boolean => performance.now() < end
  const rssKib: Record<string, number[]> = Object.fromEntries(lab.replicas.map((replica) => [replica, []]))
  let [changes, restarts, moves, kills] = [0, 0, 0, 0]

  const changing = async (): Promise<void> => {
    while (going()) await Promise.all([lab.put(rules(++changes)), pause(1)])
  }
  const restarting = async (): Promise<void> => {
    for (await pause(plan.restartEvery); plan.restartEvery > 0 && going(); await pause(plan.restartEvery)) {
      await lab.restart(lab.replicas[restarts++ % lab.replicas.length]!)
    }
  }
  // one of each version always serves, so that no weight leads to nobody: nothing dies while another one is away
  const movable: readonly Instance[] = ['orders-2', 'orders-4']
  const moving = async (): Promise<void> => {
    let lastKill = performance.now()
    for (await pause(plan.endpointEvery); going(); await pause(plan.endpointEvery)) {
      const instance = movable[(moves >> 1) % movable.length]!
      const due = plan.killEvery > 0 && performance.now() - lastKill >= plan.killEvery * 1_000
      if (due && moves % 2 === 0) {
        await lab.kill(kills++ % 2 === 0 ? 'orders-1' : 'orders-3')
        lastKill = performance.now()
      } else if (moves++ % 2 === 0) await lab.leave(instance)
      else await lab.join(instance)
    }
    if (moves % 2 === 1) await lab.join(movable[(moves >> 1) % movable.length]!)
  }
  const pause = async (seconds: number): Promise<void> => {
    const until = Math.min(end, performance.now() + seconds * 1_000)
    while (performance.now() < until) await sleep(Math.min(200, until - performance.now()))
  }
  const weighing = async (): Promise<void> => {
    while (going()) {
      for (const replica of lab.replicas) {
        const pid = lab.mesh.pid(replica)
        if (pid !== undefined) rssKib[replica]!.push(weigh(pid).rssKib)
      }
      await sleep(2_000)
    }
  }
  await Promise.all([changing(), restarting(), moving(), weighing()])
  const report = await load.stop()
  await lab.mesh.remove(rules(0))
  return { report, changes, restarts, moves, kills, rssKib }
}

export function changeProblems({ report, changes }: ChangeFigures, plan: ChangePlan): readonly string[] {
  return [
    ...(report.failed === 0
      ? []
      : [`${report.failed} of ${report.requests} failed: ${JSON.stringify(report.failures)}`]),
    ...(report.requests > plan.seconds * 20 ? [] : [`only ${report.requests} requests`]),
    ...(changes > plan.seconds / 2 ? [] : [`only ${changes} changes in ${plan.seconds} s`]),
  ]
}

/** Between the third and the last quarter of a run without restarts: code and heap have found their size by then. */
export function memoryProblems({ rssKib }: ChangeFigures, mostGrowthKib: number): readonly string[] {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  return Object.entries(rssKib).flatMap(([replica, samples]) => {
    const quarter = Math.floor(samples.length / 4)
    if (quarter < 3) return []
    const growth = mean(samples.slice(-quarter)) - mean(samples.slice(-2 * quarter, -quarter))
    return growth <= mostGrowthKib ? [] : [`${replica} grew by ${Math.round(growth)} KiB`]
  })
}
