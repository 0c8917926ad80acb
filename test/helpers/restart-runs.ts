// Rolling restarts of daemons under new connections; for restarts.test.ts and the soak of the same name.
import { leavingProcesses, succeedUnit } from '../../lab/faults.ts'
import { waitUntil } from '../../lab/lab.ts'
import { isRunning, type ProcessRecord } from '../../lab/processes.ts'
import { trafficPorts } from './traffic/ports.ts'
import type { SteadyReport } from './traffic/steady.ts'
import type { DaemonUnit, Running, TrafficLab } from './traffic-lab.ts'

export interface Restart {
  readonly unit: DaemonUnit
  /** From the start of the new process until the old one accepts nothing any more. */
  readonly handOverMs: number
}

/** Starts the load in the client; orders `stop` for its report. Resolves once it has begun. */
export async function steadyLoad(lab: TrafficLab, perSecond: number): Promise<Running> {
  const name = 'server.shop.svc.cluster.local'
  const plan = { host: lab.host, port: trafficPorts.echo, perSecond, name, namesPerSecond: perSecond }
  const load = lab.start('client', 'steady', plan)
  await load.line(20_000)
  return load
}

export async function stopLoad(load: Running): Promise<SteadyReport> {
  return (await load.order('stop', 60_000)) as SteadyReport
}

/** Whether a daemon has said that it drains. */
export function drains(lab: TrafficLab, unit: DaemonUnit, record: ProcessRecord): boolean {
  return said(lab, unit, record, 'draining')
}

/** Whether a daemon has said that it serves. */
export function isReady(lab: TrafficLab, unit: DaemonUnit, record: ProcessRecord): boolean {
  return said(lab, unit, record, 'ready')
}

function said(lab: TrafficLab, unit: DaemonUnit, { pid }: ProcessRecord, text: string): boolean {
  const lines = lab.mesh.logSince(unit, 0).split('\n')
  return lines.some((line) => line.includes(`"msg":"${text}"`) && line.includes(`"pid":${pid},`))
}

/** Starts a daemon beside the running one; resolves once the old one accepts nothing any more. */
export async function handOver(
  lab: TrafficLab,
  unit: DaemonUnit,
): Promise<Restart & { readonly before: ProcessRecord }> {
  const begin = performance.now()
  const { before } = await succeedUnit(lab.mesh.lab.selector, unit)
  await waitUntil(`${unit} hands over`, () => drains(lab, unit, before) || !isRunning(before), 30_000)
  return { unit, before, handOverMs: Math.round(performance.now() - begin) }
}

/** Resolves once nothing of the unit is left but its newest process. */
export async function drained(lab: TrafficLab, unit: DaemonUnit): Promise<void> {
  const { selector } = lab.mesh.lab
  await waitUntil(`${unit} is drained`, () => leavingProcesses(selector, unit).length === 0, 60_000)
}

export interface RollingFigures {
  readonly report: SteadyReport
  readonly restarts: readonly Restart[]
  /** Connections that were open before the first restart. */
  readonly kept: { readonly opened: number; readonly answering: number }
}

/** One restart after the other under load. Daemons must drain without deadline: some connections stay open throughout. */
export async function rollingRestarts(
  lab: TrafficLab,
  units: readonly DaemonUnit[],
  perSecond: number,
): Promise<RollingFigures> {
  const opened = 20
  const idle = lab.start('client', 'idle', { host: lab.host, port: trafficPorts.echo, connections: opened })
  await idle.line(20_000)
  const load = await steadyLoad(lab, perSecond)
  const restarts: Restart[] = []
  for (const unit of units) {
    const { handOverMs } = await handOver(lab, unit)
    restarts.push({ unit, handOverMs })
  }
  const report = await stopLoad(load)
  const { answering } = (await idle.order('ask', 40_000)) as { readonly answering: number }
  await idle.order('close', 40_000)
  // With their last connection the former daemons end.
  for (const unit of new Set(units)) await drained(lab, unit)
  return { report, restarts, kept: { opened, answering } }
}
