// Short connections through the tunnel and what they leave behind; for short-connections.test.ts and the soak of the same name.
import { waitUntil } from '../../lab/lab.ts'
import { trafficPorts } from './traffic/ports.ts'
import type { ShortPlan, ShortReport } from './traffic/short.ts'
import type { DaemonUnit, TrafficLab, Weight } from './traffic-lab.ts'

export interface ShortFigures {
  readonly report: ShortReport
  readonly before: Readonly<Record<DaemonUnit, Weight>>
  readonly after: Readonly<Record<DaemonUnit, Weight>>
  /** Connections that the daemons still have. */
  readonly left: Readonly<Record<'h1' | 'h2', number>>
}

export async function shortConnections(
  lab: TrafficLab,
  plan: Pick<ShortPlan, 'durationMs' | 'concurrency'>,
): Promise<ShortFigures> {
  const left = async () => ({ h1: await lab.connections('h1'), h2: await lab.connections('h2') })
  // The first look at the metrics loads code.
  await left()
  const before = lab.weights()
  const target = { host: lab.host, port: trafficPorts.echo }
  const report = await lab.run<ShortReport>('short', { ...target, ...plan }, plan.durationMs + 60_000)
  await waitUntil('the last connections end', async () => Object.values(await left()).every((n) => n === 0), 10_000)
  return { report, before, after: lab.weights(), left: await left() }
}
