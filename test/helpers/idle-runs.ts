// Many idle connections through one pair of daemons and what they weigh; for idle.test.ts and the soak of the same name.
import { setTimeout as sleep } from 'node:timers/promises'
import { trafficPorts } from './traffic/ports.ts'
import { type DaemonUnit, daemons, type TrafficLab } from './traffic-lab.ts'

export interface IdleFigures {
  readonly connections: number
  /** RSS of each process of the mesh before the first connection. */
  readonly idleKib: Readonly<Record<string, number>>
  readonly fullKib: Readonly<Record<DaemonUnit, number>>
  readonly perConnectionKib: Readonly<Record<DaemonUnit, number>>
  /** As the daemons count. */
  readonly counted: Readonly<Record<'h1' | 'h2', number>>
  /** Connections that answered at the end, and that were closed at any time before. */
  readonly answering: number
  readonly closed: number
  readonly afterKib: Readonly<Record<DaemonUnit, number>>
}

const units = ['control', 'agent@h1', 'agent@h2', ...daemons] as const

export async function idleConnections(lab: TrafficLab, connections: number, restMs: number): Promise<IdleFigures> {
  await sleep(restMs)
  const idleKib = Object.fromEntries(units.map((unit) => [unit, lab.weight(unit).rssKib]))
  const plan = { host: lab.host, port: trafficPorts.echo, connections }
  const role = lab.start('client', 'idle', plan)
  await role.line(120_000)
  await sleep(restMs)
  const fullKib = weigh(lab)
  const counted = { h1: await lab.connections('h1'), h2: await lab.connections('h2') }
  const asked = (await role.order('ask', 60_000)) as { readonly answering: number; readonly closed: number }
  await role.order('close', 60_000)
  await sleep(restMs)
  const grown = daemons.map((unit) => [unit, round((fullKib[unit] - idleKib[unit]!) / connections)])
  return {
    connections,
    idleKib,
    fullKib,
    perConnectionKib: Object.fromEntries(grown) as Record<DaemonUnit, number>,
    counted,
    ...asked,
    afterKib: weigh(lab),
  }
}

function weigh(lab: TrafficLab): Record<DaemonUnit, number> {
  const { 'daemon@h1': h1, 'daemon@h2': h2 } = lab.weights()
  return { 'daemon@h1': h1.rssKib, 'daemon@h2': h2.rssKib }
}

function round(kib: number): number {
  return Math.round(kib * 10) / 10
}
