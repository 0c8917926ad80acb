// The file that tells a host's agent of one workload: what an operator would write for a process that nothing else announces.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { HostPlan, WorkloadPlan } from './addressing.ts'
import { netnsPath } from './network.ts'
import { writeJson } from './state.ts'
import { workloadKey } from './units.ts'

/** One file of `--workloads-dir`. */
export interface WorkloadFile {
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly netns: string
  readonly labels: Readonly<Record<string, string>>
  readonly ports: Readonly<Record<string, number>>
  readonly addresses: readonly string[]
  readonly nameservers: readonly string[]
  readonly locality?: string
  readonly weight?: number
}

export function workloadFile(workload: WorkloadPlan, host: HostPlan): WorkloadFile {
  const { spec } = workload
  return {
    name: workload.name,
    namespace: workload.namespace,
    serviceAccount: spec.serviceAccount,
    netns: netnsPath(workload.netns),
    labels: spec.labels,
    ports: spec.ports,
    addresses: workload.addresses,
    nameservers: [host.addresses[0]],
    ...(spec.locality === undefined ? {} : { locality: spec.locality }),
    ...(spec.weight === undefined ? {} : { weight: spec.weight }),
  }
}

export function writeWorkloadFile(folder: string, workload: WorkloadPlan, host: HostPlan): void {
  writeJson(join(folder, `${workloadKey(workload)}.json`), workloadFile(workload, host))
}

export function removeWorkloadFile(folder: string, workload: WorkloadPlan): void {
  rmSync(join(folder, `${workloadKey(workload)}.json`), { force: true })
}
