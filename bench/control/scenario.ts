// What is measured of a control plane: every agent's first state, one endpoint's change on its way to all of them, and the same
// while others change too.
import { setTimeout as pause } from 'node:timers/promises'
import type { Sample } from '../results.ts'
import { now } from './agent.ts'
import { Fleet } from './fleet.ts'
import { firstMark, type MeshSize } from './mesh.ts'
import { Plane } from './plane.ts'

export interface ScenarioOptions {
  readonly size: MeshSize
  /** Endpoint changes that are measured, one after the other. */
  readonly changes: number
  readonly churnSeconds: number
  readonly churnPerSecond: number
  readonly processes: number
  readonly profile: string | undefined
  readonly progress: (text: string) => void
}

const arriveMs = 30_000
const mebibyte = 1024 * 1024

export async function runScenario(options: ScenarioOptions): Promise<readonly Sample[]> {
  const { size, progress } = options
  const plane = new Plane(options.profile)
  let fleet: Fleet | undefined
  try {
    await plane.start()
    const credentials = await plane.join(size.hosts)
    fleet = await Fleet.start(options.processes, size, credentials)
    const made = await makeMesh(plane, fleet, options)
    progress('first sync of all hosts, right after the control plane has started')
    const samples = [made, ...(await firstSync(plane, fleet, size))]
    progress(`${options.changes} changes, one after the other`)
    samples.push(...(await oneByOne(plane, fleet, options)))
    progress(`${options.churnPerSecond} changes per second for ${options.churnSeconds} s`)
    samples.push(...(await churn(plane, fleet, options)))
    return samples
  } finally {
    await fleet?.close()
    await plane.close()
  }
}

async function makeMesh(plane: Plane, fleet: Fleet, { size, progress }: ScenarioOptions): Promise<Sample> {
  progress(`making ${size.services} services and ${size.workloads} workloads on ${size.hosts} hosts`)
  const began = now()
  await plane.fill(size)
  await fleet.connect(plane.feed, true)
  await fleet.report()
  const seconds = (now() - began) / 1000
  await fleet.disconnect()
  return { metric: 'make-mesh', value: seconds, unit: 's', better: 'lower' }
}

/** From the start of the control plane's process, with all hosts already knocking, none of which holds anything. */
async function firstSync(plane: Plane, fleet: Fleet, size: MeshSize): Promise<readonly Sample[]> {
  await plane.stop()
  const before = await fleet.usage()
  const began = now()
  const connecting = fleet.connect(plane.feed, false)
  await plane.start()
  const answers = await connecting
  const expected = size.workloads + size.services
  if (answers.some(({ resources }) => resources < expected)) throw new Error('a host got less than everything')
  const after = await fleet.usage()
  return [
    sample('first-sync', (Math.max(...answers.flatMap(({ syncedAt }) => syncedAt)) - began) / 1000, 's'),
    sample('first-sync-cpu', plane.cpu / 1e6, 's'),
    sample('first-sync-agents-cpu', (after.cpuMicroseconds - before.cpuMicroseconds) / 1e6, 's'),
    sample('first-sync-per-host', (after.bytes - before.bytes) / 1024 / size.hosts, 'KiB'),
    sample('resident-after-sync', plane.resident / mebibyte, 'MiB'),
  ]
}

async function oneByOne(plane: Plane, fleet: Fleet, options: ScenarioOptions): Promise<readonly Sample[]> {
  const { size, changes } = options
  const [cpu, usage, began] = [plane.cpu, await fleet.usage(), now()]
  const sent: number[] = []
  for (let index = 0; index < changes; index++) {
    const workload = (index * 7919) % size.workloads
    sent.push(await fleet.change(workload % size.hosts, workload, firstMark + index))
    // Neither in step with the control plane's pauses nor always after a quiet time.
    await pause(20 + ((index * 37) % 200))
  }
  const latencies = await collect(fleet, sent, firstMark)
  const seconds = (now() - began) / 1000
  const agents = (await fleet.usage()).cpuMicroseconds - usage.cpuMicroseconds
  return [
    ...latencySamples('change', latencies),
    sample('change-cpu', (plane.cpu - cpu) / changes / 1000, 'ms'),
    sample('change-agents-cpu', agents / 1e4 / seconds, '%'),
  ]
}

async function churn(plane: Plane, fleet: Fleet, options: ScenarioOptions): Promise<readonly Sample[]> {
  const { size, churnSeconds, churnPerSecond } = options
  const total = Math.round(churnSeconds * churnPerSecond)
  const first = firstMark + options.changes
  const [cpu, began] = [plane.cpu, now()]
  const under: Promise<number>[] = []
  for (let index = 0; index < total; index++) {
    const workload = (index * 104_729 + 1) % size.workloads
    under.push(fleet.change(workload % size.hosts, workload, first + index))
    const due = began + ((index + 1) * 1000) / churnPerSecond
    if (due > now()) await pause(due - now())
  }
  const latencies = await collect(fleet, await Promise.all(under), first)
  const seconds = (now() - began) / 1000
  return [
    ...latencySamples('churn', latencies),
    sample('churn-cpu', (plane.cpu - cpu) / 1e4 / seconds, '%'),
    sample('resident-after-churn', plane.resident / mebibyte, 'MiB'),
  ]
}

/** Milliseconds from each report to each host. */
async function collect(fleet: Fleet, sent: readonly number[], first: number): Promise<readonly number[]> {
  const weights = sent.map((_, index) => first + index)
  const end = now() + arriveMs
  for (;;) {
    const arrivals = await fleet.arrivals(weights)
    if (arrivals.every((times) => times.every((time) => time > 0))) {
      return arrivals.flatMap((times, index) => times.map((time) => time - sent[index]!))
    }
    if (now() > end) throw new Error('a change did not reach every host')
    await pause(50)
  }
}

function latencySamples(name: string, latencies: readonly number[]): readonly Sample[] {
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
  return [
    sample(`${name}-p50`, at(0.5), 'ms'),
    sample(`${name}-p99`, at(0.99), 'ms'),
    sample(`${name}-max`, at(1), 'ms'),
  ]
}

function sample(metric: string, value: number, unit: string): Sample {
  return { metric, value, unit, better: 'lower' }
}
